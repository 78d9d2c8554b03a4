"""Tells a program what Tune hears of trials."""

from collections.abc import Sequence
from typing import Any, Literal

from ray import tune as ray_tune

from tune.settings.goals import Goals
from tune.study.interrupt import StopRequest
from tune.study.listen import Listener, TrialEnd, TrialEvent, TrialReport
from tune.trial.messages import (
    BEST_EPOCH,
    BEST_VALUE,
    VALUES,
    Result,
    epoch_of,
    error_of,
    failure_of,
    is_finished,
    number_of,
    seconds_of,
    validation_of,
)


class Tell(ray_tune.Callback):
    """Tells listeners what Tune's callbacks say.

    Args:
        listeners: Called one after the other; what one raises ends the study.
        goals: What trials are compared by.
        stop: Whether somebody asked the study to stop: a trial that it ends can go on later.
    """

    def __init__(self, listeners: Sequence[Listener], goals: Goals, stop: StopRequest) -> None:
        self._listeners, self._stop = listeners, stop
        self._metric = goals.objectives[0].metric
        self._ended: set[int] = set()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Tell of an evaluation."""
        if failure_of(result) is not None:
            return
        metrics = validation_of(result)
        self._tell(
            TrialReport(
                trial=number_of(trial),
                values=trial.config[VALUES],
                epoch=epoch_of(result) or 0,
                value=metrics.get(self._metric),
                best_value=result.get(BEST_VALUE),
                best_epoch=result.get(BEST_EPOCH),
                metrics=metrics,
                seconds=seconds_of(result),
            )
        )

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that ended in order, was stopped, or gave up with a reason."""
        reason = failure_of(trial.last_result)
        if reason is not None:
            self._tell_end(trial, "FAIL", reason)
        else:
            self._tell_end(trial, "COMPLETE" if is_finished(trial.last_result) else "PRUNED")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that raised once too often."""
        self._tell_end(trial, "FAIL", error_of(trial))

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Tell of trials that a budget ended: Tune says nothing of their end."""
        if self._stop.requested:
            return
        for trial in trials:
            if trial.status == "TERMINATED" and number_of(trial) not in self._ended:
                finished = is_finished(trial.last_result)
                self._tell_end(trial, "COMPLETE" if finished else "PRUNED")

    def _tell_end(
        self, trial: Any, state: Literal["COMPLETE", "PRUNED", "FAIL"], error: str | None = None
    ) -> None:
        self._ended.add(number_of(trial))
        last = trial.last_result or {}
        self._tell(
            TrialEnd(
                trial=number_of(trial),
                values=trial.config[VALUES],
                state=state,
                value=last.get(BEST_VALUE),
                best_epoch=last.get(BEST_EPOCH),
                epochs=epoch_of(last) or 0,
                error=error,
            )
        )

    def _tell(self, event: TrialEvent) -> None:
        for listener in self._listeners:
            listener(event)
