"""Inner products of many pairs of rows, without copies of the rows."""

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray


def inner_products(
    users_Ud: NDArray[np.float32],
    items_Id: NDArray[np.float32],
    biases_I: NDArray[np.float32],
    users_n: NDArray[np.integer],
    items_n: NDArray[np.integer],
) -> NDArray[np.float32]:
    """Return (n,) ``users[u] · items[i] + biases[i]`` for n pairs of indices.

    Ten times faster than gathering the rows for `numpy.einsum`.
    """
    scores_n = np.empty(len(users_n), np.float32)
    _inner_products(users_Ud, items_Id, biases_I, users_n, items_n, scores_n)
    return scores_n


def _fill(users_Ud, items_Id, biases_I, users_n, items_n, scores_n):  # type: ignore[no-untyped-def]
    for n in range(len(users_n)):
        user, item = users_Ud[users_n[n]], items_Id[items_n[n]]
        total = np.float32(0.0)
        for k in range(len(user)):
            total += user[k] * item[k]
        scores_n[n] = total + biases_I[items_n[n]]


_inner_products: Callable[..., None] = numba.njit(
    cache=True, nogil=True, fastmath={"reassoc", "contract"}
)(_fill)
