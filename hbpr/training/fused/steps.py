"""A step of one row of weights or of one bias, inside compiled loops.

Inlined by Numba before LLVM sees them: LLVM would unroll their loops first, and could then not
vectorise them any more.
"""

from typing import Any

import numpy as np
from numba import njit

from hbpr.training.losses.compiled import FAST


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


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def sgd_step(weights: Any, row: Any, steps: Any, k: Any, value: Any, lr: Any) -> None:
    """Move ``weights[row]`` against ``value * steps[k]``."""
    for f in range(weights.shape[1]):
        weights[row, f] -= lr * value * steps[k, f]


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def adagrad_step(
    weights: Any, sums: Any, row: Any, steps: Any, k: Any, value: Any, lr: Any
) -> None:
    """One step of Adagrad (Duchi, Hazan & Singer, JMLR 2011), entry by entry."""
    for f in range(weights.shape[1]):
        g = value * steps[k, f]
        total = sums[row, f] + g * g
        sums[row, f] = total
        weights[row, f] -= lr * g * inverse_root(total)


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def sgd_bias(b: Any, item: Any, gradient: Any, lr: Any) -> None:
    """Move the bias of an item."""
    b[item] -= lr * gradient


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def adagrad_bias(b: Any, sums: Any, item: Any, gradient: Any, lr: Any) -> None:
    """Move the bias of an item as Adagrad does."""
    sums[item] += gradient * gradient
    b[item] -= lr * gradient * inverse_root(sums[item])
