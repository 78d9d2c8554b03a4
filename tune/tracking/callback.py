"""Tune's callbacks about its trials, handed on to the recorder of a study."""

from typing import Any, Final

from ray.tune import Callback
from ray.tune.result import HOSTNAME

from hbpr.names import COSTS, DATA_SHARE, EVAL_S, LOSS, TRAIN_S
from hbpr.tracking.records import Parent
from tune.tracking.recorder import MlflowRecorder
from tune.tracking.runs import STATUS_OF
from tune.trial.messages import (
    PARENT,
    VALUES,
    Result,
    epoch_of,
    number_of,
    outcome_of,
    untold_ends,
)

#: What is recorded of a result beside its validation metrics.
_ALWAYS: Final = frozenset({LOSS, TRAIN_S, EVAL_S, DATA_SHARE, *COSTS})


class RecordTrials(Callback):
    """Has every trial recorded, from its start to its end.

    Args:
        recorder: The study's, which is open.
    """

    def __init__(self, recorder: MlflowRecorder) -> None:
        self._recorder = recorder

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial's settings; Tune calls this again after a pause or a retry."""
        parent = trial.config.get(PARENT)
        self._recorder.start_trial(
            number_of(trial), trial.config[VALUES], Parent(**parent) if parent else None
        )

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Record the metrics of an epoch."""
        metrics = {
            name: value
            for name, value in result.items()
            if name in _ALWAYS or name.startswith("val/")
        }
        self._recorder.report(number_of(trial), epoch_of(result) or 0, metrics, node_of(result))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a crash that is made good."""
        self._recorder.record_restart(number_of(trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run of a trial that ended, was stopped, or gave up with a reason."""
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run of a trial that raised and is not tried again."""
        self._end(trial)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close the runs of trials of which Tune said nothing at their end."""
        for trial in untold_ends(trials):
            if self._recorder.is_open(number_of(trial)):
                self._end(trial)

    def _end(self, trial: Any) -> None:
        state, error = outcome_of(trial)
        self._recorder.end_trial(
            number_of(trial), STATUS_OF[state], error, node_of(trial.last_result)
        )


def node_of(result: Result | None) -> str | None:
    """Return the machine that a result is from; None where it does not say."""
    node = (result or {}).get(HOSTNAME)
    return None if node is None else str(node)
