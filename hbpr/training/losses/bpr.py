"""The criterion of Bayesian personalized ranking."""

from typing import Any, Final

import numpy as np
from numba import njit
from torch import Tensor
from torch.nn.functional import logsigmoid

from hbpr.training.losses import blocks
from hbpr.training.losses.compiled import FAST, sigmoid, softplus
from hbpr.training.losses.kind import LossKind


def bpr_loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``-log sigmoid(positive - negative)``, summed over the negatives: the BPR-Opt criterion.

    Stays finite, with a gradient of -1, however far the order is wrong.

    Source:
        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009,
        section 4.1.

    Example:
        >>> import torch
        >>> bpr_loss(torch.tensor([0.0, -120.0]), torch.zeros(2, 1))
        tensor([  0.6931, 120.0000])
    """
    return -logsigmoid(positive_B.unsqueeze(1) - negative_BN).sum(1)


@njit(cache=True, nogil=True, fastmath=set(FAST))
def gradient(positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """See `LossKind.gradient`."""
    rise, total = np.float32(0.0), 0.0
    for k in range(negatives.shape[0]):
        x = positive - negatives[k]
        falls[k] = sigmoid(-x)
        rise += falls[k]
        total += softplus(-x)
    return rise, total


BPR: Final = LossKind(bpr_loss, gradient, block=blocks.bpr)
