"""What a study found, as plain frozen records: its winner, and what comparing trials came to."""

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hbpr.tracking.registry import Registered

#: Fewer trials than this say nothing about the order of trials.
_FEWEST: Final = 5
#: Fewer than this say too little of what mattered; measured in docs/decisions/0028.
LEAST_TRIALS: Final = 20


@dataclass(frozen=True)
class Stage:
    """A stretch of epochs with the same settings.

    Attributes:
        first: Its first epoch.
        trial: Number of the trial that trained it.
        values: That trial's values.
    """

    first: int
    trial: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Finalist:
    """A trial with its repeats.

    Attributes:
        number: Number of the trial.
        values: The study's metric with each seed.
        mean: Their mean.
        deviation: Their standard deviation (n - 1); 0 for one seed.
        best_epoch: Median of the best epochs, an epoch that was the best once.
        metrics: Mean of every validation metric.
        seeds: The seed of each value, where that is known.
    """

    number: int
    values: tuple[float, ...]
    mean: float
    deviation: float
    best_epoch: int
    metrics: dict[str, float]
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The winner against another, user by user, on validation.

    Attributes:
        other: What it was compared with.
        difference: Mean over users of winner - other; a user's value is its mean over the seeds.
        low: Lower end of the 95 % interval of that mean.
        high: Upper end.
        p: Two-sided p of the paired t-test over users.
        n_users: Users compared.
    """

    other: str
    difference: float
    low: float
    high: float
    p: float
    n_users: int

    @property
    def verdict(self) -> Literal["above", "below", "undecided"]:
        """Where the winner ranks, if the interval leaves 0 out."""
        if self.low > 0.0:
            return "above"
        return "below" if self.high < 0.0 else "undecided"


@dataclass(frozen=True)
class RankCorrelation:
    """How far the order of trials at an epoch is their final order.

    Attributes:
        epoch: Where the scheduler decides.
        tau: Kendall's tau-b of the values there and the final ones, -1 to 1, as it would be among
            all trials that came there; NaN where too few went further, or all had the same value.
        n_trials: Finished trials that went further than this epoch.
        data_share: Share of the training positives that they had seen by then; 1: all.
        n_stopped: Trials that came there and were stopped, there or later.
        range_ratio: Standard deviation of the values there of all, over that of the finished ones.
    """

    epoch: int
    tau: float
    n_trials: int
    data_share: float = 1.0
    n_stopped: int = 0
    range_ratio: float = 1.0

    @property
    def place(self) -> str:
        """Where, in words, such as ``epoch 5 on 11 % of the data``."""
        if self.data_share >= 1.0:
            return f"epoch {self.epoch}"
        return f"epoch {self.epoch} on {100 * self.data_share:.0f} % of the data"

    @property
    def is_known(self) -> bool:
        """Whether enough trials went further for the order to say something."""
        return self.n_trials >= _FEWEST and math.isfinite(self.tau)


@dataclass(frozen=True)
class Winner:
    """The trial that won, trained for the last time and scored on the test part.

    Attributes:
        number: Number of the trial.
        values: Its searched values.
        value: Its value of the study's metric: the mean over the seeds where it was repeated.
        epochs: Epochs of its last training.
        validation: Its validation metrics at its best epoch; means over seeds likewise.
        test: Those of the refitted winner; empty where the data have no test part.
        stages: Settings that its weights went through, its own last; the refit went through them
            too. Only a copy of a population has several.
        registered: The version of the registered model; None where there is none, or not yet.
        n_users: Users that its validation metrics are means over; None where that is not known.
    """

    number: int
    values: dict[str, Any]
    value: float
    epochs: int
    validation: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    registered: Registered | None = None
    n_users: int | None = None


@dataclass(frozen=True)
class BaselineRecord:
    """What a baseline came to.

    Attributes:
        name: Its name in tables, such as ``ease``.
        label: Its name for people, such as ``EASE``.
        validation: Validation metrics, learnt from the train part.
        test: Test metrics, learnt from what the winner's refit learnt from.
    """

    name: str
    label: str
    validation: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """What it costs to change one setting alone at the winner.

    Attributes:
        setting: Dotted setting or section.
        cost: Mean loss over its other values, in units of the metric; below 0: they are better.
        low: Lower end of the 95 % interval of that mean.
        high: Upper end.
    """

    setting: str
    cost: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """What mattered to an objective.

    Attributes:
        metric: The objective.
        n_trials: Trials that it rests on.
        n_stopped: Those of them that were stopped, which count with what they would have come to.
        effects: Largest cost first; empty where there are too few trials to say.
    """

    metric: str
    n_trials: int
    n_stopped: int = 0
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Findings:
    """What comparing the trials of a study showed.

    Attributes:
        finalists: Trials that were repeated with other seeds, best mean first.
        comparisons: The winner against the runner-up and the baselines, user by user.
        importance: What it costs to change one setting alone at the winner, for each objective.
        early: How far the order of the trials where the scheduler decides is their final order.
        front: Numbers of the trials of the Pareto front, best by the first objective first; empty
            where there is one objective.
        better: Labels of the baselines that rank above the winner on validation, where MLflow has
            these and not the comparisons.
    """

    finalists: tuple[Finalist, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    importance: tuple[Importance, ...] = ()
    early: tuple[RankCorrelation, ...] = ()
    front: tuple[int, ...] = ()
    better: tuple[str, ...] = ()
