"""What a loss is to the engines: its values for autograd, its gradient for the compiled loops.

Shapes: B positives in a batch, N negatives each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hbpr.training.losses.blocks import Objective

#: Compiled gradient of one positive and its negatives, see `LossKind.gradient`.
Gradient = Callable[[Any, Any, Any, Any], Any]


@dataclass(frozen=True)
class LossKind:
    """A loss of a positive and its negatives.

    Attributes:
        function: A pure torch function from (B,) scores of positives and (B, N) scores of their
            negatives to the (B,) losses; with `rank_weighted` it takes (B, N) weights besides.
        gradient: The same loss for the fused engine, compiled by ``numba.njit``; None: training
            goes by autograd. Called as ``gradient(positive, negatives, falls, weights)`` with a
            float32 score, (N,) float32 scores, (N,) float32 to write and (N,) float32 weights, it
            writes to ``falls[n]`` how far the n-th negative's score should fall, and returns how
            far the positive's should rise (float32) and the loss (float64), NaN where a score is.
            Weights are those of `rank_weighted`, else ones.
        rank_weighted: Each negative is the first of ``negatives.warp_draws`` whose score is above
            the positive's less 1, and its weight is that of the rank which the number of draws
            lets expect; 0 where no draw was. Otherwise a negative is drawn, or the hardest of
            ``negatives.hardest_of``.
        block: The same loss for the listwise engine, as `hbpr.training.losses.blocks.softmax`;
            None: it is not for blocks of users.
        masked_block: It with ``negatives.mask_positives``; None: `block` masks them anyway.
    """

    function: Callable[..., Tensor]
    gradient: Gradient | None = None
    rank_weighted: bool = False
    block: Objective | None = None
    masked_block: Objective | None = None
