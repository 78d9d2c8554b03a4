"""How often an epoch visits each positive, where interactions carry weights."""

import numpy as np
from numpy.typing import NDArray


def visits(weights: NDArray[np.float32], draws: NDArray[np.float64]) -> NDArray[np.int32]:
    """Spread an epoch's visits over the positives in proportion to their weights.

    Args:
        weights: (n,) weights above 0.
        draws: (n,) uniform numbers from 0 to 1 that decide about the fractions.

    Returns:
        (n,) visits; on average weight / mean weight each, never more than 1 away from it.

    Example:
        >>> visits(np.array([3.0, 1.0], np.float32), np.array([0.2, 0.2])).tolist()
        [2, 1]
    """
    expected = weights / weights.mean(dtype=np.float64)
    whole = np.floor(expected)
    return np.asarray(whole + (draws < expected - whole), np.int32)
