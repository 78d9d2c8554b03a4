"""The hinge: a positive should be ahead of each negative by a margin of 1."""

from typing import Any, Final

import numpy as np
from numba import njit
from torch import Tensor
from torch.nn.functional import relu

from hbpr.training.losses.compiled import FAST
from hbpr.training.losses.kind import LossKind

_ONE = np.float32(1.0)


def hinge_loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``max(0, 1 - (positive - negative))``, summed over the negatives.

    Example:
        >>> import torch
        >>> hinge_loss(torch.tensor([0.0, 2.0]), torch.zeros(2, 1))
        tensor([1., 0.])
    """
    return relu(1.0 - (positive_B.unsqueeze(1) - negative_BN)).sum(1)


@njit(cache=True, nogil=True, fastmath=set(FAST))
def gradient(positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """See `LossKind.gradient`; a negative counts by its weight."""
    rise, total = np.float32(0.0), 0.0
    for k in range(negatives.shape[0]):
        gap = _ONE - (positive - negatives[k])
        falls[k] = np.float32(0.0)
        if gap > 0.0:
            falls[k] = weights[k]
            rise += weights[k]
            total += weights[k] * gap
        elif gap != gap:  # NaN compares with nothing, and must be seen
            total = np.nan
    return rise, total


HINGE: Final = LossKind(hinge_loss, gradient)
