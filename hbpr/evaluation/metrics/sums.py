"""What several metrics are made of."""

import numpy as np
from numpy.typing import NDArray

from hbpr.evaluation.ranks import Ranks

#: (n,) float64 values, in the order of ``ranks.users``.
PerUser = NDArray[np.float64]


def sum_of(ranks: Ranks, values: NDArray[np.float64]) -> PerUser:
    """Sum of (n_pairs,) values within each user; no user is empty."""
    if ranks.n_users == 0:
        return np.zeros(0)
    return np.add.reduceat(values, ranks.indptr[:-1])


def position(ranks: Ranks) -> NDArray[np.int64]:
    """(n_pairs,) 1 for a user's best ranked held-out item, 2 for the next, ..."""
    starts = np.repeat(ranks.indptr[:-1], ranks.n_held_out)
    return np.arange(1, len(ranks.ranks) + 1) - starts
