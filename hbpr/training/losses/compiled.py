"""What the compiled gradients of several losses are made of."""

import math
from typing import Any, Final

import numpy as np
from numba import njit

#: Reassociation lets sums use vector registers. NaN and infinity keep their meaning: training
#: that diverges must be seen.
FAST: Final = frozenset({"reassoc", "contract", "nsz", "arcp"})
_ONE = np.float32(1.0)


@njit(cache=True, nogil=True, fastmath=set(FAST))
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))`` in float32, without overflow into NaN."""
    return _ONE / (_ONE + math.exp(-x))


@njit(cache=True, nogil=True)
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` as a float64 that stays finite."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(np.float64(x))))
