"""What is known of a study and its trials, as plain frozen records.

Filled from a study's journal or from MLflow; whoever draws, lists or compares trials reads these.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Parent(NamedTuple):
    """Where a trial's first weights come from, in population-based training.

    Attributes:
        trial: Number of the trial that was copied.
        epoch: Epoch after which it was.
        replaces: Number of the trial that ended for the copy.
    """

    trial: int
    epoch: int
    replaces: int


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: From 0, in the order of the suggestions.
        values: Dotted setting -> value of what was searched in this trial.
        state: ``RUNNING``, ``COMPLETE`` (ran to its end), ``PRUNED`` (stopped early) or ``FAIL``.
        value: Best reported value of the study's metric; None without a report.
        reports: Epoch -> reported value of that metric.
        seconds: Seconds of training and evaluation of a trial that ended.
        measured: Epoch -> value of each metric that the study looks at, in a study of several
            objectives or with limits; else empty.
        parent: Where its first weights come from; None for a trial from new weights.
        metrics: All validation metrics of the best epoch of a trial that ended; empty where the
            journal does not have them: one written before it kept them, or a trial that went on
            from a checkpoint after a driver was killed, and was best before.
        run_id: MLflow run; None where the tracking server has not taken it yet.
    """

    number: int
    values: dict[str, Any]
    state: str
    value: float | None
    reports: dict[int, float] = field(default_factory=dict)
    seconds: float | None = None
    measured: dict[int, dict[str, float]] = field(default_factory=dict)
    parent: Parent | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    @property
    def epochs(self) -> int:
        """Last epoch that was evaluated; 0 where none was."""
        return max(self.reports, default=0)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch with the best value; None where there is none."""
        return min((e for e, value in self.reports.items() if value == self.value), default=None)

    @property
    def at_best(self) -> dict[str, float]:
        """`measured` at the best epoch; empty where there is none."""
        epoch = self.best_epoch
        return {} if epoch is None else self.measured.get(epoch, {})

    def as_json(self) -> dict[str, Any]:
        """Return the trial without its reports, as plain values."""
        return {
            "number": self.number,
            "values": self.values,
            "state": self.state,
            "value": self.value,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch or 0,
            "run_id": self.run_id,
            "parent": None if self.parent is None else self.parent.trial,
            "measured": self.at_best,
        }
