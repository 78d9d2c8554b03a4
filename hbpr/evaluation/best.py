"""The best scores of each row, best first: one pass, compiled."""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

#: Scores that are compared with the last listed one at a time.
_CHUNK: Final = 64


def _best_places(scores, k, places):  # type: ignore[no-untyped-def]
    """Fill (k,) places with the positions of the best scores, best first; -1 beyond them.

    NaN is no candidate. Whole chunks below the last listed score are passed over by counting,
    which the compiler turns into vector instructions.
    """
    places[:] = -1
    n_listed = 0
    start = 0
    while start < len(scores):
        stop = min(start + _CHUNK, len(scores))
        if n_listed == k:
            lowest = scores[places[k - 1]]
            above = np.int32(0)
            for i in range(start, stop):
                above = np.int32(above + (scores[i] > lowest))
            if above == 0:
                start = stop
                continue
        for i in range(start, stop):
            score = scores[i]
            if score != score or (n_listed == k and not score > scores[places[k - 1]]):
                continue
            j = n_listed if n_listed < k else k - 1
            while j > 0 and score > scores[places[j - 1]]:
                places[j] = places[j - 1]
                j -= 1
            places[j] = i
            n_listed = min(n_listed + 1, k)
        start = stop


_best: Callable[..., None] = numba.njit(cache=True, nogil=True)(_best_places)


def _best_of_rows(block, items):  # type: ignore[no-untyped-def]
    """Fill (B, K) items with the best columns of each row of scores."""
    for r in range(len(block)):
        _best(block[r], items.shape[1], items[r])


def _best_of_lists(scores, listed, ends, items):  # type: ignore[no-untyped-def]
    """Fill (B, K) items with the best of each part of (n,) listed items, by their scores."""
    for r in range(len(ends) - 1):
        part = listed[ends[r] : ends[r + 1]]
        _best(scores[ends[r] : ends[r + 1]], items.shape[1], items[r])
        for j in range(items.shape[1]):
            if items[r, j] >= 0:
                items[r, j] = part[items[r, j]]


#: `_best_of_rows`, compiled: ``(block, items)``.
best_of_rows: Callable[[NDArray[Any], NDArray[np.int32]], None] = numba.njit(
    cache=True, nogil=True
)(_best_of_rows)
#: `_best_of_lists`, compiled: ``(scores, listed, ends, items)``.
best_of_lists: Callable[..., None] = numba.njit(cache=True, nogil=True)(_best_of_lists)
