"""How sure a difference between two methods is, given the users that test happens to hold."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hbpr.evaluation import Ranks

#: Half the width of a normal 95 % interval, in standard errors.
_NORMAL_95 = 1.96


def paired_difference(
    ours: Sequence[Ranks], other: Ranks, per_user: Callable[[Ranks], NDArray[np.float64]]
) -> tuple[float, float]:
    """Return the mean difference of a metric over the users, and half its 95 % interval.

    The deviation over seeds says nothing of the users: with few of them a difference can be chance
    although every seed shows it.

    Args:
        ours: Ranks of one method, one for each seed; the metric of a user is the mean over them.
        other: Ranks of the other method, of the same users.
        per_user: The metric, such as ``lambda ranks: ndcg_at_k(ranks, 5)``.

    Returns:
        Mean of ours - other, and 1.96 standard errors of it (normal approximation).

    Raises:
        ValueError: The users differ, or there are fewer than two.
    """
    if any(not np.array_equal(ranks.users, other.users) for ranks in ours):
        raise ValueError("paired_difference: the ranks must be of the same users")
    if other.n_users < 2:
        raise ValueError(f"paired_difference: needs two users at least, got {other.n_users}")
    differences = np.mean([per_user(ranks) for ranks in ours], axis=0) - per_user(other)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(_NORMAL_95 * error)
