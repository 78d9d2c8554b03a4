"""The k best of each row in one compiled pass: for lists of thousands of users.

A row is read once and held against the worst of the k best so far, which lie in a heap; that costs
a fraction of sorting or partitioning the row. Rows are shared out among threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray


def select(block: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the k highest scores of each row, the first ones of a tie.

    Args:
        block: (B, I) scores without NaN, C-contiguous, I at least k.
        k: Length of a list.

    Returns:
        (B, k) int64 columns and (B, k) float32 scores, best first, equal scores in column order.
    """
    items = np.empty((len(block), k), np.int64)
    scores = np.empty((len(block), k), np.float32)
    threads = _threads()
    bounds = np.linspace(0, len(block), threads + 1).astype(int)
    parts = [slice(*pair) for pair in pairwise(bounds)]
    if threads == 1:
        _select_rows(block, items, scores)
    else:
        list(_pool(threads).map(lambda p: _select_rows(block[p], items[p], scores[p]), parts))
    return items, scores


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else len(os.sched_getaffinity(0))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "select")


@njit(nogil=True, cache=True)
def _is_worse(score, item, other_score, other_item):  # type: ignore[no-untyped-def]
    return score < other_score or (score == other_score and item > other_item)


@njit(nogil=True, cache=True)
def _sink(items, scores, n):  # type: ignore[no-untyped-def]
    """Let the root of a heap of n, the worst on top, sink to where it belongs."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            return
        if child + 1 < n and _is_worse(
            scores[child + 1], items[child + 1], scores[child], items[child]
        ):
            child += 1
        if not _is_worse(scores[child], items[child], scores[at], items[at]):
            return
        scores[at], scores[child] = scores[child], scores[at]
        items[at], items[child] = items[child], items[at]
        at = child


@njit(nogil=True, cache=True)
def _select_rows(block, items, scores):  # type: ignore[no-untyped-def]
    k = items.shape[1]
    for r in range(block.shape[0]):
        row, best, found = block[r], scores[r], items[r]
        for n in range(k):  # rises from the end of the heap
            best[n], found[n] = row[n], n
            at = n
            while at > 0:
                parent = (at - 1) // 2
                if not _is_worse(best[at], found[at], best[parent], found[parent]):
                    break
                best[at], best[parent] = best[parent], best[at]
                found[at], found[parent] = found[parent], found[at]
                at = parent
        lowest = best[0]
        for i in range(k, row.shape[0]):
            if row[i] > lowest:  # of a tie the later one stays out
                best[0], found[0] = row[i], i
                _sink(found, best, k)
                lowest = best[0]
        for n in range(k - 1, 0, -1):  # the worst goes to the end, again and again
            best[0], best[n] = best[n], best[0]
            found[0], found[n] = found[n], found[0]
            _sink(found, best, n)
