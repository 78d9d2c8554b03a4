"""Sampled softmax."""

import math
from typing import Any, Final

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn.functional import softplus

from hbpr.training.losses import blocks
from hbpr.training.losses.compiled import FAST
from hbpr.training.losses.kind import LossKind


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


@njit(cache=True, nogil=True, fastmath=set(FAST))
def gradient(positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """See `LossKind.gradient`."""
    n = negatives.shape[0]
    top = positive
    for k in range(n):
        top = max(top, negatives[k])
    whole = math.exp(positive - top)
    for k in range(n):
        falls[k] = math.exp(negatives[k] - top)
        whole += falls[k]
    rise = np.float32(0.0)
    for k in range(n):
        falls[k] /= whole
        rise += falls[k]
    return rise, math.log(whole) + (top - positive)


SOFTMAX: Final = LossKind(
    softmax_loss, gradient, block=blocks.softmax, masked_block=blocks.masked_softmax
)
