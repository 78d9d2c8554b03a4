"""Losses of one positive against its drawn negatives: pure functions of scores.

Shapes: B positives in a batch, N negatives each. Every loss takes the positives' scores (B,) and
the negatives' scores (B, N), and returns the (B,) loss of each positive with all its negatives.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

Loss = Callable[[Tensor, Tensor], Tensor]


def bpr_loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``-log sigmoid(positive - negative)``, summed over the negatives: the BPR-Opt criterion.

    Stays finite, with a gradient of -1, however far the order is wrong.

    Source:
        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009,
        section 4.1.

    Example:
        >>> bpr_loss(torch.tensor([0.0, -120.0]), torch.zeros(2, 1))
        tensor([  0.6931, 120.0000])
    """
    return -logsigmoid(positive_B.unsqueeze(1) - negative_BN).sum(1)


def bpr_loss_v2(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``-log sigmoid(positive) - log(1 - sigmoid(negative))``: every score on its own.

    The positive counts once, however many negatives stand against it.

    Source:
        The logistic loss of Rendle et al., "Neural collaborative filtering vs. matrix
        factorization revisited", RecSys 2020, section 3.

    Example:
        >>> bpr_loss_v2(torch.tensor([0.0]), torch.zeros(1, 1))
        tensor([1.3863])
    """
    return softplus(-positive_B) + softplus(negative_BN).sum(1)


def hinge_loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``max(0, 1 - (positive - negative))``, summed over the negatives.

    Example:
        >>> hinge_loss(torch.tensor([0.0, 2.0]), torch.zeros(2, 1))
        tensor([1., 0.])
    """
    return relu(1.0 - (positive_B.unsqueeze(1) - negative_BN)).sum(1)


def softmax_loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Cross-entropy of the positive among itself and its negatives: sampled softmax.

    Source:
        Jean et al., "On using very large target vocabulary for neural machine translation",
        ACL 2015, without the correction for the sampling distribution.

    Example:
        >>> softmax_loss(torch.tensor([0.0]), torch.zeros(1, 3))
        tensor([1.3863])
    """
    # Relative to the positive: a small loss keeps its digits, which a difference of scores loses.
    return softplus(torch.logsumexp(negative_BN - positive_B.unsqueeze(1), dim=1))


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


#: The losses that need nothing but scores, by the name that settings use.
LOSSES: Final[Mapping[str, Loss]] = MappingProxyType(
    {
        "bpr_loss": bpr_loss,
        "bpr_loss_v2": bpr_loss_v2,
        "hinge_loss": hinge_loss,
        "softmax_loss": softmax_loss,
    }
)
