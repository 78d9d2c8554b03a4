"""The logistic loss: every score on its own."""

from typing import Any, Final

from numba import njit
from torch import Tensor
from torch.nn.functional import softplus as torch_softplus

from hbpr.training.losses.compiled import FAST, sigmoid, softplus
from hbpr.training.losses.kind import LossKind


def bpr_loss_v2(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """``-log sigmoid(positive) - log(1 - sigmoid(negative))``: every score on its own.

    The positive counts once, however many negatives stand against it.

    Source:
        The logistic loss of Rendle et al., "Neural collaborative filtering vs. matrix
        factorization revisited", RecSys 2020, section 3.

    Example:
        >>> import torch
        >>> bpr_loss_v2(torch.tensor([0.0]), torch.zeros(1, 1))
        tensor([1.3863])
    """
    return torch_softplus(-positive_B) + torch_softplus(negative_BN).sum(1)


@njit(cache=True, nogil=True, fastmath=set(FAST))
def gradient(positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """See `LossKind.gradient`."""
    rise = sigmoid(-positive)
    total = softplus(-positive)
    for k in range(negatives.shape[0]):
        falls[k] = sigmoid(negatives[k])
        total += softplus(negatives[k])
    return rise, total


BPR_V2: Final = LossKind(bpr_loss_v2, gradient)
