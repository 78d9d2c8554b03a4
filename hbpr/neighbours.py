"""Cosines of item vectors.

Shapes: B items of a block, I items, d size of an item's vector.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def cosine_scorer(
    vectors_Id: NDArray[np.float32],
) -> Callable[[NDArray[np.integer]], NDArray[np.float32]]:
    """Return a function from (B,) item indices to (B, I) float32 cosines of item vectors.

    An item whose vector is zero, as without features, has cosine 0 to all.
    """
    lengths = np.linalg.norm(vectors_Id, axis=1, keepdims=True)
    units_Id = np.asarray(vectors_Id / np.where(lengths > 0, lengths, 1), np.float32)
    units_dI = np.ascontiguousarray(units_Id.T)
    return lambda items_B: np.asarray(units_Id[items_B] @ units_dI)
