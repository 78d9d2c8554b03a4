"""What a program hears of a study while it runs: each report of a trial, and each end of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tune.trial.messages import State


@dataclass(frozen=True)
class TrialReport:
    """A trial was evaluated.

    Attributes:
        trial: Its number, from 0.
        values: Dotted setting -> value of what is searched in it.
        epoch: Epochs so far.
        value: Value of the study's metric at this epoch; None where it has none.
        best_value: The best one so far.
        best_epoch: The first epoch that had it.
        metrics: All validation metrics of this epoch by full name, such as ``val/ndcg_at_10``.
        seconds: Of training and evaluation since the report before.
    """

    trial: int
    values: Mapping[str, Any]
    epoch: int
    value: float | None
    best_value: float | None
    best_epoch: int | None
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class TrialEnd:
    """A trial has ended, and will not go on.

    Attributes:
        trial: Its number, from 0.
        values: Dotted setting -> value of what was searched in it.
        state: ``COMPLETE`` (ran to its end), ``PRUNED`` (was stopped) or ``FAIL``.
        value: Its best value of the study's metric, also where it failed later; None without a
            report.
        best_epoch: The first epoch that had it.
        epochs: Epochs that it trained.
        error: Why it failed; None where it did not.
    """

    trial: int
    values: Mapping[str, Any]
    state: State
    value: float | None
    best_epoch: int | None
    epochs: int
    error: str | None = None


TrialEvent = TrialReport | TrialEnd
#: Called in the process that started the study, between two reports: what takes long holds it up.
Listener = Callable[[TrialEvent], None]
