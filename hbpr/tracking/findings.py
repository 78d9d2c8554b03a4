"""What comparing a study's trials came to, as plain frozen records."""

import math
from dataclasses import dataclass
from typing import Any, Final

#: Fewer trials than this say nothing about the order of trials.
_FEWEST: Final = 5


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
    """

    number: int
    values: tuple[float, ...]
    mean: float
    deviation: float
    best_epoch: int
    metrics: dict[str, float]


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
