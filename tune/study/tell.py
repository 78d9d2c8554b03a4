"""Tells a program what Tune hears of trials."""

from collections.abc import Sequence
from typing import Any

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
    failure_of,
    number_of,
    outcome_of,
    seconds_of,
    untold_ends,
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
        #: Best value and epoch of trials that run: the last result of one that fails has none.
        self._best: dict[int, tuple[float | None, int | None]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Tell of an evaluation."""
        if failure_of(result) is not None:
            return
        metrics = validation_of(result)
        self._best[number_of(trial)] = result.get(BEST_VALUE), result.get(BEST_EPOCH)
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
        self._tell_end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that raised once too often."""
        self._tell_end(trial)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Tell of trials of whose end Tune said nothing, such as those that a budget ended."""
        for trial in untold_ends(trials):
            goes_on = self._stop.requested and outcome_of(trial).state == "PRUNED"
            if number_of(trial) not in self._ended and not goes_on:
                self._tell_end(trial)

    def _tell_end(self, trial: Any) -> None:
        number = number_of(trial)
        self._ended.add(number)
        state, error = outcome_of(trial)
        last = trial.last_result or {}
        value, best_epoch = self._best.pop(number, (None, None))
        self._tell(
            TrialEnd(
                trial=number,
                values=trial.config[VALUES],
                state=state,
                value=value,
                best_epoch=best_epoch,
                epochs=epoch_of(last) or 0,
                error=error,
            )
        )

    def _tell(self, event: TrialEvent) -> None:
        for listener in self._listeners:
            listener(event)
