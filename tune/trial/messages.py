"""The words between a trial and its driver: what a result says, and why a trial failed.

A trial builds its results here, and whoever receives one reads it here. Keys of metrics and of
times are in `hbpr.names`.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from hbpr.names import EVAL_S, TRAIN_S
from tune.schedulers import base
from tune.settings.goals import Goals

Result = dict[str, Any]

#: Epochs so far: the clock of a study.
EPOCH: Final = base.CLOCK
#: Best value of the study's metric so far, and the first epoch that had it.
BEST_VALUE: Final = "best_value"
BEST_EPOCH: Final = "best_epoch"
#: Positives that were trained on since the last result.
N_TRIPLES: Final = "n_triples"
#: Whether the trial ran to its own end; one that was stopped never says so.
FINISHED: Final = "finished"
#: Why a trial cannot go on; only in the last result of one that ended on an error of its own.
FAILED: Final = "failed"
#: What makes Tune end the trial.
DONE: Final = "done"

#: Keys of the settings of a Tune trial: its number, its values, where a copy comes from.
NUMBER: Final = base.NUMBER
VALUES: Final = base.VALUES
PARENT: Final = "parent"

#: Tune's status of a trial that raised once too often, and of one that ended in another way.
_CRASHED: Final = "ERROR"
_ENDED: Final = "TERMINATED"


def evaluated(
    metrics: Mapping[str, float],
    epoch: int,
    best: tuple[float | None, int | None],
    *,
    finished: bool = False,
    n_triples: int = 0,
    train_s: float = 0.0,
    eval_s: float = 0.0,
) -> Result:
    """Return the result of an evaluation.

    Args:
        metrics: All that was measured, by full name.
        epoch: Epochs so far.
        best: Best value so far and its epoch.
        finished: The trial has come to its own end.
        n_triples: Positives trained on since the last result.
        train_s: Seconds of training since the last result.
        eval_s: Seconds of evaluation since the last result.
    """
    best_value, best_epoch = best
    return {
        **metrics,
        TRAIN_S: train_s,
        EVAL_S: eval_s,
        EPOCH: epoch,
        BEST_VALUE: best_value,
        BEST_EPOCH: best_epoch,
        N_TRIPLES: n_triples,
        FINISHED: finished,
        DONE: finished,
    }


def failed(reason: str, epoch: int) -> Result:
    """Return the last result of a trial that cannot go on; it has no metrics."""
    return {FAILED: reason, EPOCH: epoch, FINISHED: False, DONE: True}


def epoch_of(result: Mapping[str, Any]) -> int | None:
    """Return the epoch of a result; None where it says none."""
    epoch = result.get(EPOCH)
    return None if epoch is None else int(epoch)


def is_finished(result: Mapping[str, Any] | None) -> bool:
    """Return whether a result, if there is one, is that of a trial that ran to its own end."""
    return bool(result and result.get(FINISHED))


def failure_of(result: Mapping[str, Any] | None) -> str | None:
    """Return why the trial cannot go on; None where it can, or said nothing."""
    reason = (result or {}).get(FAILED)
    return None if reason is None else str(reason)


State = Literal["COMPLETE", "PRUNED", "FAIL"]


class Outcome(NamedTuple):
    """How a trial ended.

    Attributes:
        state: ``COMPLETE`` (ran to its end), ``PRUNED`` (was stopped) or ``FAIL``.
        error: Why it failed; None where it did not.
    """

    state: State
    error: str | None = None


def state_of(result: Mapping[str, Any] | None, *, crashed: bool = False) -> State:
    """Return the state of a trial that has ended.

    Args:
        result: Its last one; None where it said nothing.
        crashed: It raised once too often.
    """
    if crashed or failure_of(result) is not None:
        return "FAIL"
    return "COMPLETE" if is_finished(result) else "PRUNED"


def outcome_of(trial: Any) -> Outcome:
    """Return how a Tune trial ended: by its status where it crashed, else by its last result."""
    crashed = trial.status == _CRASHED
    state = state_of(trial.last_result, crashed=crashed)
    return Outcome(state, error_of(trial) if crashed else failure_of(trial.last_result))


def untold_ends(trials: Iterable[Any]) -> list[Any]:
    """Return those Tune trials that have ended, for the end of an experiment.

    Tune calls nobody for a trial that ended because all did, or that it could not start.
    """
    return [trial for trial in trials if trial.status in (_CRASHED, _ENDED)]


def seconds_of(result: Mapping[str, Any]) -> float:
    """Return the seconds of training and evaluation since the result before."""
    return float(result.get(TRAIN_S, 0.0) + result.get(EVAL_S, 0.0))


def validation_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite validation metrics of a result."""
    return {
        name: float(value)
        for name, value in result.items()
        if name.startswith("val/") and math.isfinite(value)
    }


def best_of(result: Mapping[str, Any], goals: Goals) -> float | None:
    """Return the best value so far that a result names, if the trial can win with it.

    With limits, only the report of the best epoch itself says whether it is inside of them.
    """
    value: float | None = result.get(BEST_VALUE)
    if goals.limits and not (
        result.get(EPOCH) == result.get(BEST_EPOCH) and goals.feasible(result)
    ):
        return None
    return value


def number_of(trial: Any) -> int:
    """Return the number that a Tune trial has in its study."""
    return int(trial.config[NUMBER])


def error_of(trial: Any) -> str:
    """Return the last line of the traceback of a trial that crashed.

    Args:
        trial: Ray's. Its ``get_error`` looks where Tune copies the file later.
    """
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):  # there is none, or not even a name for it
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the trial's process ended without a message"
