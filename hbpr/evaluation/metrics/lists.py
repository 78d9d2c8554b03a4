"""Metrics of the first k items of each user's list.

An item counts as listed where its rank is at most k.
"""

import numpy as np

from hbpr.evaluation.metrics.sums import PerUser, position, sum_of
from hbpr.evaluation.ranks import Ranks


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
    return sum_of(ranks, gains) / best


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
    precision = np.where(ranks.ranks <= k, position(ranks) / ranks.ranks, 0.0)
    return sum_of(ranks, precision) / np.minimum(k, ranks.n_held_out)


def _hits(ranks: Ranks, k: int) -> PerUser:
    return sum_of(ranks, (ranks.ranks <= k).astype(np.float64))
