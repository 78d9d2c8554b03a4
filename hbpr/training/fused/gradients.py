"""Slopes of the losses for one positive and its negatives, inside compiled loops.

All losses share one shape: the positive's score should rise by `rise`, the n-th negative's should
fall by ``falls[n]``. Losses agree with `hbpr.training.losses`; tests compare the two.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

BPR: Final = 0
BPR_V2: Final = 1
HINGE: Final = 2
WARP: Final = 3
SOFTMAX: Final = 4

#: Losses as the compiled loops know them.
CODES: Final = {
    "bpr_loss": BPR,
    "bpr_loss_v2": BPR_V2,
    "hinge_loss": HINGE,
    "warp_loss": WARP,
    "softmax_loss": SOFTMAX,
}

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


@njit(cache=True, nogil=True, fastmath=set(FAST))
def slopes(loss: Any, positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """Compute how a positive and its negatives should move.

    Args:
        loss: One of `CODES`.
        positive: Score of the positive.
        negatives: (N,) float32 scores of the negatives.
        falls: (N,) float32, written: how far each negative's score should fall.
        weights: (N,) float32 weights of the estimated ranks, with WARP; else ones.

    Returns:
        How far the positive's score should rise (float32), and the loss (float64).
    """
    n = negatives.shape[0]
    rise = np.float32(0.0)
    total = 0.0
    if loss == BPR:
        for k in range(n):
            x = positive - negatives[k]
            falls[k] = sigmoid(-x)
            rise += falls[k]
            total += softplus(-x)
    elif loss == BPR_V2:
        rise = sigmoid(-positive)
        total = softplus(-positive)
        for k in range(n):
            falls[k] = sigmoid(negatives[k])
            total += softplus(negatives[k])
    elif loss == SOFTMAX:
        top = positive
        for k in range(n):
            top = max(top, negatives[k])
        whole = math.exp(positive - top)
        for k in range(n):
            falls[k] = math.exp(negatives[k] - top)
            whole += falls[k]
        for k in range(n):
            falls[k] /= whole
            rise += falls[k]
        total = math.log(whole) + (top - positive)
    else:  # HINGE, WARP
        for k in range(n):
            gap = _ONE - (positive - negatives[k])
            falls[k] = np.float32(0.0)
            if gap > 0.0:
                falls[k] = weights[k]
                rise += weights[k]
                total += weights[k] * gap
            elif gap != gap:  # NaN compares with nothing, and must be seen
                total = np.nan
    return rise, total


@njit(cache=True, nogil=True, fastmath=set(FAST))
def inverse_root(x: Any) -> Any:
    """``1 / sqrt(x + 1e-20)`` in float32, within 5e-6 of it.

    The classic first guess from the exponent and two of Newton's steps use no divider, which is
    what Adagrad's square root and division would wait for.
    """
    x = x + np.float32(1e-20)
    bits = np.int32(0x5F3759DF) - (np.float32(x).view(np.int32) >> np.int32(1))
    root = np.int32(bits).view(np.float32)
    half = np.float32(0.5) * x
    root = root * (np.float32(1.5) - half * root * root)
    return root * (np.float32(1.5) - half * root * root)
