"""Gradients of the losses for one positive and its negatives, inside compiled loops.

All losses share one shape: the positive's score should rise by `rise`, the n-th negative's should
fall by ``falls[n]``. Those that come with hbpr are compiled into the loops, where a code tells them
apart; any other is compiled on its own and called by its address, so that a new loss neither
changes the loops nor compiles them again. After an edit of one that is inside, remove this folder's
``__pycache__``: Numba looks at the files of the loops alone.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from hbpr.training.losses import bpr, bpr_v2, hinge, softmax
from hbpr.training.losses.compiled import FAST
from hbpr.training.losses.kind import Gradient

BPR: Final = 0
BPR_V2: Final = 1
HINGE: Final = 2
SOFTMAX: Final = 3
BY_ADDRESS: Final = 4

#: Gradients that the loops have inside.
_CODES: Final[dict[Any, int]] = {
    bpr.gradient: BPR,
    bpr_v2.gradient: BPR_V2,
    hinge.gradient: HINGE,
    softmax.gradient: SOFTMAX,
}
_bpr, _bpr_v2, _hinge, _softmax = (njit(inline="always")(each.py_func) for each in _CODES)

_FLOATS: Final = types.CPointer(types.float32)
_SIGNATURE: Final = types.float64(types.float32, _FLOATS, _FLOATS, _FLOATS, types.int64, _FLOATS)


def code_of(gradient: Gradient) -> tuple[int, int]:
    """Return the code of a gradient in the loops, and its address where it is called by that."""
    code = _CODES.get(gradient, BY_ADDRESS)
    return code, address_of(gradient) if code == BY_ADDRESS else 0


@cache  # an address is good for as long as its function is kept
def _called(gradient: Gradient) -> Any:
    def call(positive: Any, negatives: Any, falls: Any, weights: Any, n: Any, rise: Any) -> Any:
        rise[0] = np.nan  # an exception ends here, and must be seen
        found, total = gradient(
            positive, carray(negatives, n), carray(falls, n), carray(weights, n)
        )
        rise[0] = found
        return total

    return cfunc(_SIGNATURE)(call)


def address_of(gradient: Gradient) -> int:
    """Compile a gradient for calls by its address, in this process."""
    return int(_called(gradient).address)


def _call_at(_typing: Any, address: Any, positive: Any, n: Any, scratch: Any) -> Any:
    """Call a gradient at an address; returns the loss.

    Arrays are handed on as addresses: Numba would count references to them, which costs more than
    the gradient.

    Args:
        _typing: Numba's.
        address: int64, of `address_of`.
        positive: float32 score of the positive.
        n: int64 number of negatives.
        scratch: int64 addresses of four float32 arrays: (N,) negatives, falls and weights, and (1,)
            the rise, which is written.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.FloatType().as_pointer()
        kinds = [ir.FloatType(), pointer, pointer, pointer, ir.IntType(64), pointer]
        kind = ir.FunctionType(ir.DoubleType(), kinds).as_pointer()
        negatives, falls, weights, rise = (
            builder.inttoptr(builder.extract_value(arguments[3], k), pointer) for k in range(4)
        )
        function = builder.inttoptr(arguments[0], kind)
        return builder.call(function, [arguments[1], negatives, falls, weights, arguments[2], rise])

    four = types.UniTuple(types.int64, 4)
    return types.float64(types.int64, types.float32, types.int64, four), generate


call_at: Any = intrinsic(_call_at)


@njit(cache=True, nogil=True, fastmath=set(FAST))
def slopes(loss: Any, positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    """Compute how a positive and its negatives should move.

    Args:
        loss: Code of a gradient that is compiled into the loops.
        positive: Score of the positive.
        negatives: (N,) float32 scores of the negatives.
        falls: (N,) float32, written: how far each negative's score should fall.
        weights: (N,) float32 weights of the estimated ranks, or ones.

    Returns:
        How far the positive's score should rise (float32), and the loss (float64), NaN with another
        code.
    """
    rise, total = np.float32(0.0), np.nan
    if loss == BPR:
        rise, total = _bpr(positive, negatives, falls, weights)
    elif loss == BPR_V2:
        rise, total = _bpr_v2(positive, negatives, falls, weights)
    elif loss == SOFTMAX:
        rise, total = _softmax(positive, negatives, falls, weights)
    elif loss == HINGE:
        rise, total = _hinge(positive, negatives, falls, weights)
    return rise, total
