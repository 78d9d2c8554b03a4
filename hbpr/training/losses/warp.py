"""The hinge, weighted by the rank that the number of draws lets expect."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import relu

from hbpr.training.losses.hinge import gradient
from hbpr.training.losses.kind import LossKind


def warp_loss(positive_B: Tensor, negative_BN: Tensor, weights_BN: Tensor) -> Tensor:
    """Weighted approximate-rank pairwise loss: the hinge times the weight of the estimated rank.

    Args:
        positive_B: (B,) scores of the positives.
        negative_BN: (B, N) scores of the first drawn negatives inside the margin.
        weights_BN: (B, N) ``harmonic_numbers(I)[(I - 1) // draws]``; 0 where no draw violated.

    Source:
        Weston, Bengio & Usunier, "WSABIE: scaling up to large vocabulary image annotation",
        IJCAI 2011, section 4.1.
    """
    return (weights_BN * relu(1.0 - (positive_B.unsqueeze(1) - negative_BN))).sum(1)


def harmonic_numbers(n: int) -> NDArray[np.float32]:
    """(n + 1,) sums 1/1 + ... + 1/r for r from 0: WARP's weight of rank r.

    Example:
        >>> harmonic_numbers(3)
        array([0.       , 1.       , 1.5      , 1.8333334], dtype=float32)
    """
    sums = np.zeros(n + 1)
    np.cumsum(1.0 / np.arange(1, n + 1), out=sums[1:])
    return sums.astype(np.float32)


WARP: Final = LossKind(warp_loss, gradient, rank_weighted=True)
