"""The best scores of each row, best first: one pass, compiled."""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

#: Scores that are compared with the last listed one at a time.
_CHUNK: Final = 32


def _best_places(scores, k, places, values):  # type: ignore[no-untyped-def]
    """Fill (k,) places with the positions of the best scores, best first; -1 beyond them.

    NaN is no candidate. `values` is room for k scores. Once k are listed, chunks below the last of
    them are passed over by counting, which the compiler turns into vector instructions.
    """
    n_scores = len(scores)
    n_listed = 0
    at = 0
    while at < n_scores and n_listed < k:
        score = scores[at]
        if score == score:
            _insert(places, values, n_listed, at, score)
            n_listed += 1
        at += 1
    places[n_listed:] = -1
    while at < n_scores:
        part = scores[at : min(at + _CHUNK, n_scores)]
        lowest = values[k - 1]
        above = np.int32(0)
        for i in range(len(part)):
            above = np.int32(above + (part[i] > lowest))
        if above > 0:
            for i in range(len(part)):
                if part[i] > values[k - 1]:
                    _insert(places, values, k - 1, at + i, part[i])
        at += len(part)


def _insert_place(places, values, j, place, score):  # type: ignore[no-untyped-def]
    """Put a score where it belongs among the first j, the last of which gives way to it."""
    while j > 0 and score > values[j - 1]:
        places[j], values[j] = places[j - 1], values[j - 1]
        j -= 1
    places[j], values[j] = place, score


_insert: Callable[..., None] = numba.njit(cache=True, nogil=True)(_insert_place)
_best: Callable[..., None] = numba.njit(cache=True, nogil=True)(_best_places)


def _best_of_rows(block, items):  # type: ignore[no-untyped-def]
    """Fill (B, K) items with the best columns of each row of scores."""
    values = np.empty(items.shape[1], block.dtype)
    for r in range(len(block)):
        _best(block[r], items.shape[1], items[r], values)


def _best_of_lists(scores, listed, ends, items):  # type: ignore[no-untyped-def]
    """Fill (B, K) items with the best of each part of (n,) listed items, by their scores."""
    values = np.empty(items.shape[1], scores.dtype)
    for r in range(len(ends) - 1):
        part = listed[ends[r] : ends[r + 1]]
        _best(scores[ends[r] : ends[r + 1]], items.shape[1], items[r], values)
        for j in range(items.shape[1]):
            if items[r, j] >= 0:
                items[r, j] = part[items[r, j]]


#: `_best_of_rows`, compiled: ``(block, items)``.
best_of_rows: Callable[[NDArray[Any], NDArray[np.int32]], None] = numba.njit(
    cache=True, nogil=True
)(_best_of_rows)
#: `_best_of_lists`, compiled: ``(scores, listed, ends, items)``.
best_of_lists: Callable[..., None] = numba.njit(cache=True, nogil=True)(_best_of_lists)
