"""What is known of a study and its trials, as plain frozen records.

Filled from a study's journal (`tune.study.conclude`) or from MLflow (`hbpr.tracking.reader`);
whoever draws, lists or compares trials reads these and nothing else.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hbpr.tracking.findings import BaselineRecord, Comparison, Findings, Winner
from hbpr.tracking.goals import Goals


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
class Exam:
    """What a run's metrics were measured on.

    Attributes:
        key: Equal where metrics compare; empty where it was not recorded.
        data: Name of the data.
        split: How they were parted, in words.
        n_users: Users; None where it was not recorded.
        n_items: Items; likewise.
    """

    key: str = ""
    data: str = ""
    split: str = ""
    n_users: int | None = None
    n_items: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """What MLflow, or the records of a study on their way to it, say of a run beside its trial.

    Attributes:
        name: Its name.
        kind: ``trial``, ``train``, or ``run`` for one that hbpr did not start.
        began_at: Milliseconds since 1970.
        ended_at: Likewise; None while it runs.
        metrics: Last value of each metric; empty where it is not read from MLflow.
        exam: What they were measured on; empty likewise.
        node: Machine it ran on; empty where that was not recorded.
    """

    name: str
    kind: str
    began_at: int
    ended_at: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    exam: Exam = field(default_factory=Exam)
    node: str = ""


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: From 0, in the order of the suggestions.
        values: Dotted setting -> value of what was searched in this trial.
        state: ``WAITING``, ``RUNNING``, ``COMPLETE`` (ran to its end), ``PRUNED`` (stopped) or
            ``FAIL``.
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
        run: More of that run, such as when and where it ran; None where that is not known.
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
    run: RunRecord | None = None

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


@dataclass(frozen=True)
class Identity:
    """Which study it is, and where it lies.

    Attributes:
        study_id: Tag of all its runs and name of its folder; empty for runs of no study.
        name: Name of its own run.
        experiment: MLflow experiment.
        folder: Its folder, absolute; None where that is not known.
        model_folder: Where the winner is saved; None likewise.
    """

    study_id: str
    name: str
    experiment: str
    folder: str | None = None
    model_folder: str | None = None


@dataclass(frozen=True)
class Tracking:
    """Where MLflow keeps a study, and whether it has all of it.

    Attributes:
        uri: Tracking store, without a password.
        run_id: The study's own run; None while the server is away.
        view: What follows the address of MLflow's pages to see all trials; None likewise.
        away_s: Seconds for which the server did not answer.
        arrival: Whether all records were there when the study ended (``complete``), some are still
            to be sent (``partial``), or they were sent afterwards (``later``).
    """

    uri: str
    run_id: str | None = None
    view: str | None = None
    away_s: float = 0.0
    arrival: Literal["complete", "partial", "later"] = "complete"


@dataclass(frozen=True)
class Times:
    """What a sitting took.

    Attributes:
        wall_s: Seconds from the call to the result.
        search_s: Seconds in which trials ran; 0 where they had all ended before, or from MLflow.
        busy_cpu_s: CPU seconds that trials spent on training and evaluation.
        cpus: CPUs that trials could use.
        before_s: Seconds in which trials of earlier sittings ran.
    """

    wall_s: float
    search_s: float = 0.0
    busy_cpu_s: float = 0.0
    cpus: float = 0.0
    before_s: float = 0.0

    @property
    def busy_share(self) -> float:
        """Share of the CPUs' time, while trials ran, that went into training and evaluation."""
        return self.busy_cpu_s / max(self.search_s * self.cpus, 1e-9)


@dataclass(frozen=True)
class Origin:
    """What a study's figures hold for.

    Attributes:
        data: Fingerprint of the data of each data setting that was searched.
        versions: Version of each library that trained, searched or recorded.
        exam: What trials are judged on; empty where that is not known.
    """

    data: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    exam: Exam = field(default_factory=Exam)


@dataclass(frozen=True)
class StudyRecord:
    """A study as its pages show it.

    Attributes:
        identity: Which study it is.
        tracking: Where MLflow keeps it.
        goals: What trials are compared by.
        trials: All trials, by number.
        settings: Its resolved settings as plain data, without passwords.
        winner: None for a study that has not ended, or runs of no study.
        baselines: What the winner is compared with, in the order of pages.
        findings: What comparing the trials showed.
        times: None where they are not known.
        origin: Data and versions.
        ended: The budget that ended the search; None where all trials ran.
        notes: What went wrong on the way and was made good.
    """

    identity: Identity
    tracking: Tracking
    goals: Goals
    trials: tuple[TrialRecord, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    winner: Winner | None = None
    baselines: tuple[BaselineRecord, ...] = ()
    findings: Findings = field(default_factory=Findings)
    times: Times | None = None
    origin: Origin = field(default_factory=Origin)
    ended: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """The metric that picks the winner."""
        return self.goals.objectives[0].metric

    @property
    def space(self) -> Mapping[str, Any]:
        """Dotted key -> dimension as it was written; empty where that is not known."""
        space: Mapping[str, Any] = self.settings.get("sweep", {}).get("space", {})
        return space

    @property
    def best(self) -> TrialRecord | None:
        """The trial that won."""
        number = None if self.winner is None else self.winner.number
        return next((trial for trial in self.trials if trial.number == number), None)

    @property
    def best_so_far(self) -> TrialRecord | None:
        """The trial with the highest value inside of all limits, finished ones first.

        None where no trial has a value.
        """
        able = [t for t in self.trials if t.value is not None and self.goals.feasible(t.at_best)]
        ended = [trial for trial in able if trial.state == "COMPLETE"]
        return max(
            ended or able, key=lambda trial: (trial.value or 0.0, -trial.number), default=None
        )

    @property
    def front(self) -> list[TrialRecord]:
        """The trials of the Pareto front, in its order."""
        by_number = {trial.number: trial for trial in self.trials}
        return [by_number[number] for number in self.findings.front if number in by_number]

    @property
    def states(self) -> dict[str, int]:
        """Number of trials by state."""
        return dict(Counter(trial.state for trial in self.trials))

    @property
    def rivals(self) -> list[Comparison]:
        """The winner against each baseline that it was compared with on validation."""
        labels = {each.label for each in self.baselines}
        return [each for each in self.findings.comparisons if each.other in labels]

    @property
    def better(self) -> list[str]:
        """Labels of the baselines that rank above the winner on validation, by more than chance."""
        known = [each.other for each in self.rivals if each.verdict == "below"]
        return known or list(self.findings.better)

    @property
    def n_outside(self) -> int:
        """Number of trials that ran to their end and are outside of a limit."""
        ended = [trial for trial in self.trials if trial.state == "COMPLETE"]
        return sum(not self.goals.feasible(trial.at_best) for trial in ended)
