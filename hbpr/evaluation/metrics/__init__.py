"""Metrics per user, as pure functions of the ranks of the held-out items.

Shapes: n users with something held out. Every function returns (n,) float64 in the order of
``ranks.users``; an item counts as listed where its rank is at most k. Ties: see `Ranks`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.evaluation.ranks import Ranks

PerUser = NDArray[np.float64]


def auc(ranks: Ranks) -> PerUser:
    """Share of (held-out, other) pairs of candidates in the right order; a tie counts half.

    NaN for a user whose candidates are all held out: there is nothing to order.

    Source:
        Rendle et al., UAI 2009, section 5.2.
    """
    n_held_out = ranks.n_held_out
    others = ranks.n_candidates - n_held_out
    above = _sum(ranks, ranks.ranks - _position(ranks))
    share = np.full(ranks.n_users, np.nan)
    np.divide(above, n_held_out * others, out=share, where=others > 0)
    return 1.0 - share


def mrr(ranks: Ranks) -> PerUser:
    """One over the rank of the first held-out item."""
    return 1.0 / ranks.ranks[ranks.indptr[:-1]]


def ndcg_at_k(ranks: Ranks, k: int) -> PerUser:
    """Sum of 1 / log2(rank + 1) over the listed items, over the best sum this user could reach.

    The best sum has ``min(k, n_held_out)`` hits at ranks 1, 2, ...

    Source:
        Jarvelin & Kekalainen, ACM TOIS 20(4), 2002, doi:10.1145/582415.582418, with binary gain.
        Variants that divide by the sum of k hits for everyone give smaller values.

    Example:
        >>> ranks = Ranks(np.array([0]), np.array([0, 2]), np.array([1.0, 4.0]), np.array([5]))
        >>> ndcg_at_k(ranks, 3).round(4).tolist()  # 1 / (1 + 1 / log2(3))
        [0.6131]
    """
    gains = np.where(ranks.ranks <= k, 1.0 / np.log2(ranks.ranks + 1.0), 0.0)
    n_ideal = np.minimum(k, ranks.n_held_out)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, n_ideal.max(initial=1) + 2)))
    best: PerUser = ideal[n_ideal - 1]
    return _sum(ranks, gains) / best


def precision_at_k(ranks: Ranks, k: int) -> PerUser:
    """Listed held-out items over k, also where there are fewer than k candidates."""
    return _hits(ranks, k) / k


def recall_at_k(ranks: Ranks, k: int) -> PerUser:
    """Listed held-out items over all held-out items."""
    return _hits(ranks, k) / ranks.n_held_out


def hr_at_k(ranks: Ranks, k: int) -> PerUser:
    """1 where at least one held-out item is listed, else 0 (hit rate)."""
    return (ranks.ranks[ranks.indptr[:-1]] <= k).astype(np.float64)


def map_at_k(ranks: Ranks, k: int) -> PerUser:
    """Average precision: mean of j / rank of the j-th held-out item, over ``min(k, n_held_out)``.

    Only listed items add to the sum. Variants that divide by n_held_out give smaller values
    where more than k items are held out.
    """
    precision = np.where(ranks.ranks <= k, _position(ranks) / ranks.ranks, 0.0)
    return _sum(ranks, precision) / np.minimum(k, ranks.n_held_out)


#: The metrics by the names of `hbpr.names`.
WHOLE_METRICS: Final[dict[str, Callable[[Ranks], PerUser]]] = {"auc": auc, "mrr": mrr}
AT_K_METRICS: Final[dict[str, Callable[[Ranks, int], PerUser]]] = {
    "ndcg": ndcg_at_k,
    "precision": precision_at_k,
    "recall": recall_at_k,
    "hr": hr_at_k,
    "map": map_at_k,
}


def _sum(ranks: Ranks, values: NDArray[np.float64]) -> PerUser:
    """Sum of (n_pairs,) values within each user; no user is empty."""
    if ranks.n_users == 0:
        return np.zeros(0)
    return np.add.reduceat(values, ranks.indptr[:-1])


def _hits(ranks: Ranks, k: int) -> PerUser:
    return _sum(ranks, (ranks.ranks <= k).astype(np.float64))


def _position(ranks: Ranks) -> NDArray[np.int64]:
    """(n_pairs,) 1 for a user's best ranked held-out item, 2 for the next, ..."""
    starts = np.repeat(ranks.indptr[:-1], ranks.n_held_out)
    return np.arange(1, len(ranks.ranks) + 1) - starts
