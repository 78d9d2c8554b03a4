"""Precision and NDCG as they would be if every candidate were judged, from logged exposures.

What users were shown is no fair sample of what there is. Where the log knows the probability of
each exposure, its inverse gives each judged pair the weight of those it stands for.

Shapes: U users, I items, n judged pairs.

Source:
    Schnabel et al., Recommendations as Treatments, ICML 2016, arXiv:1602.05352: sums over judged
    pairs weighted by their inverse propensity (IPS), self-normalised (SNIPS) where observed
    negatives are among them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Judged
from hbpr.data.pairs import UserItems
from hbpr.evaluation.ranks import ScoreBlock, rows_in_block
from hbpr.names import METRICS, Part, metric_name

#: Half the width of an interval of 95 %, in standard errors.
_WIDTH: Final = 1.959964


class Estimate(NamedTuple):
    """A mean over users, and an interval that holds the true one with a probability of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Exposed:
    """Where judged pairs stand: what a metric of exposures is given.

    Attributes:
        users: (n,) user of each pair.
        ranks: (n,) rank among the user's candidates, from 1; ties share their mean rank.
        weights: (n,) inverse of the probability that the pair is judged.
        liked: (n,) whether it is liked.
        n_users: Number of users, U.
        known: Estimates that were asked for: of one, value and both ends are metrics.
    """

    users: NDArray[np.int32]
    ranks: NDArray[np.float64]
    weights: NDArray[np.float64]
    liked: NDArray[np.bool_]
    n_users: int
    known: dict[tuple[str, int], Estimate | None] = field(default_factory=dict, repr=False)

    def estimate(
        self, name: str, k: int, gains: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> Estimate | None:
        """Return the mean of gains, (n,) of the ranks of what is among the first k; made once."""
        if (name, k) not in self.known:
            gained = np.where(self.ranks <= k, gains(self.ranks), 0.0)
            self.known[name, k] = _estimate(self, gained)
        return self.known[name, k]


def exposure_metrics(
    score_block: ScoreBlock,
    judged: Judged,
    exclude: UserItems,
    *,
    part: Part,
    top_k: Sequence[int],
) -> dict[str, float]:
    """Estimate metrics over all candidates from those of known probability.

    Args:
        score_block: Scores a block of users.
        judged: Pairs that are known to be liked or not.
        exclude: (U, I) pairs that are no candidates.
        part: First half of the names.
        top_k: Lengths of lists.

    Returns:
        The metrics of exposures in `hbpr.names.METRICS` by full name; without those for which
        nothing judged is in any list.
    """
    pairs = judged.pairs
    weights = np.ones(pairs.n_pairs) if pairs.weights is None else pairs.weights
    ranks = _ranks(score_block, pairs, exclude)
    found = Exposed(
        pairs.users(), ranks, np.asarray(weights, np.float64), judged.liked, pairs.n_users
    )
    metrics = {}
    for k in dict.fromkeys(top_k):
        for name, metric in METRICS.items():
            value = metric(found, k) if metric.of == "exposures" else None
            if value is not None:
                metrics[metric_name(part, name, k)] = value
    return metrics


def precision(found: Exposed, k: int) -> Estimate | None:
    """Share of the first k that is liked, mean over users; None: nothing there is judged."""
    return found.estimate("precision", k, lambda ranks: np.full(len(ranks), 1.0 / k))


def ndcg(found: Exposed, k: int) -> Estimate | None:
    """Discounted sum of what is liked among the first k, over that of k liked items; mean.

    It is the usual NDCG for users who like k items or more, and below it for others: how many a
    user likes in all is not known.
    """
    best = (1.0 / np.log2(np.arange(2, k + 2))).sum()
    return found.estimate("ndcg", k, lambda ranks: 1.0 / np.log2(ranks + 1) / best)


def ips_precision(found: Exposed, k: int) -> float | None:
    """See `precision`."""
    return _of(precision(found, k), "value")


def ips_precision_low(found: Exposed, k: int) -> float | None:
    """Lower end of the interval of `precision`."""
    return _of(precision(found, k), "low")


def ips_precision_high(found: Exposed, k: int) -> float | None:
    """Upper end of the interval of `precision`."""
    return _of(precision(found, k), "high")


def ips_ndcg(found: Exposed, k: int) -> float | None:
    """See `ndcg`."""
    return _of(ndcg(found, k), "value")


def ips_ndcg_low(found: Exposed, k: int) -> float | None:
    """Lower end of the interval of `ndcg`."""
    return _of(ndcg(found, k), "low")


def ips_ndcg_high(found: Exposed, k: int) -> float | None:
    """Upper end of the interval of `ndcg`."""
    return _of(ndcg(found, k), "high")


def _of(estimate: Estimate | None, what: str) -> float | None:
    return None if estimate is None else float(getattr(estimate, what))


def _estimate(found: Exposed, gains: NDArray[np.float64]) -> Estimate | None:
    """Mean over users of the gains of what is liked; (n,) gains add up to 1 over a full list."""
    weighted = gains * found.weights
    liked = np.bincount(found.users, weighted * found.liked, found.n_users)
    n = found.n_users
    if found.liked.all():  # what was rejected is not known: weights alone tell how many they are
        value, spread = liked.mean(), liked.std(ddof=1) if n > 1 else 0.0
        error = spread / np.sqrt(n)
    else:
        listed = np.bincount(found.users, weighted, n)
        if listed.sum() == 0:
            return None
        value = liked.sum() / listed.sum()
        rest = liked - value * listed
        error = np.sqrt(n / max(1, n - 1) * (rest**2).sum()) / listed.sum()
    return Estimate(float(value), float(value - _WIDTH * error), float(value + _WIDTH * error))


def _ranks(score_block: ScoreBlock, pairs: UserItems, exclude: UserItems) -> NDArray[np.float64]:
    """(n,) rank of each pair among its user's candidates; ties have their mean rank."""
    ranks = np.empty(pairs.n_pairs)
    users = np.flatnonzero(pairs.counts)
    size = rows_in_block(pairs.n_items)
    for start in range(0, len(users), size):
        block = users[start : start + size]
        scores = np.array(score_block(block), np.float32)
        for row, user in zip(scores, block, strict=True):
            items = pairs.of(user)
            mine = row[items]
            row[exclude.of(user)] = -np.inf
            row[items] = mine
            row.sort()
            above = np.searchsorted(row, mine, "right")
            equal = above - np.searchsorted(row, mine, "left")
            ranks[pairs.indptr[user] : pairs.indptr[user + 1]] = len(row) - above + (equal + 1) / 2
    return ranks
