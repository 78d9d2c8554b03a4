"""Whether early values tell which trials will be good: what stopping early rests on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.stats import kendalltau

#: Below this, a quarter of the pairs of trials or more change their order after that epoch.
MISLEADING: Final = 0.5
_FEWEST: Final = 5


@dataclass(frozen=True)
class RankCorrelation:
    """How far the order of trials at an epoch is their final order.

    Attributes:
        epoch: Where the scheduler decides.
        tau: Kendall's tau-b of the values there and the final ones, -1 to 1; NaN where too few
            trials went further, or all had the same value.
        n_trials: Finished trials that went further than this epoch.
        data_share: Share of the training positives that they had seen by then; 1: all.
    """

    epoch: int
    tau: float
    n_trials: int
    data_share: float = 1.0

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

    @property
    def misleading(self) -> bool:
        """Whether stopping here would be a guess."""
        return self.is_known and self.tau < MISLEADING


def rank_correlations(
    curves: Sequence[Mapping[int, float]],
    epochs: Sequence[int],
    share_at: Callable[[int], float] = lambda epoch: 1.0,
) -> list[RankCorrelation]:
    """Compare the order of trials at some epochs with their order at the end.

    Under a scheduler, finished trials are the ones that it let live, which are more alike than all
    would be: their tau is a cautious one.

    Args:
        curves: Of each finished trial: epoch -> value, higher is better. NaN is no value.
        epochs: Where to look, such as `tune.schedulers.decision_epochs` names.
        share_at: Share of the training positives that an epoch visits.

    Returns:
        One entry an epoch. A trial's value there is its first from that epoch on, as a scheduler
        sees it; its final value is its best.

    Example:
        >>> curves = [{5: 0.1 * i, 10: 0.2 * i} for i in range(6)]
        >>> [(each.epoch, round(each.tau, 3)) for each in rank_correlations(curves, [5])]
        [(5, 1.0)]
    """
    found = []
    for epoch in epochs:
        early, final = [], []
        for curve in curves:
            points = sorted((e, v) for e, v in curve.items() if not math.isnan(v))
            later = [(e, v) for e, v in points if e >= epoch]
            if len(later) > 1:
                early.append(later[0][1])
                final.append(max(v for _, v in points))
        varied = len(set(early)) > 1 and len(set(final)) > 1
        tau = float(kendalltau(early, final).statistic) if varied else math.nan
        found.append(RankCorrelation(epoch, tau, len(early), share_at(epoch)))
    return found


def warning_of(correlations: Sequence[RankCorrelation]) -> str | None:
    """Return what to tell a person where stopping early would mislead, or None.

    Example:
        >>> print(warning_of([RankCorrelation(5, 0.31, 12), RankCorrelation(15, 0.8, 9)]))
        at epoch 5 the order of 12 trials says little about their final order (Kendall tau 0.31, \
below 0.5): raise scheduler.grace_period
    """
    bad = [each for each in correlations if each.misleading]
    if not bad:
        return None
    last = bad[-1]
    return (
        f"at {last.place} the order of {last.n_trials} trials says little about their final "
        f"order (Kendall tau {last.tau:.2f}, below {MISLEADING}): raise scheduler.grace_period"
    )
