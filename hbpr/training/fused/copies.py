"""Several threads on copies of the rows that they share.

Threads that write the same rows without locks (Niu et al., "Hogwild!", NeurIPS 2011) pass the cache
lines of popular items to and fro: on MovieLens two threads were slower than one. Here each thread
works on copies of the shared rows for a round, then the changes of all are brought together, the
same way every time: the same seed and the same number of threads give the same bits.

How much of the changes is taken depends on how often a row is met. A row met m times by each of T
threads goes the share ``1 - r**m`` of its way to where it is heading, r being what a step leaves of
the way; one thread would have gone ``1 - r**(T m)``. So the sum of the changes is taken times
``(1 - r**(T m)) / (T (1 - r**m))``, which is the mean of ``r**(m t)`` for t from 0 to T - 1: rows
met seldom add up their changes, rows met often, which every thread has brought to the end of their
way, take the mean.
"""

import heapq
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from hbpr.training.losses.compiled import FAST

#: Positives that a thread visits between two merges, for each shared row: a merge costs a row
#: about what training on one positive does.
_POSITIVES_PER_ROW: Final = 32
#: What a step of length 1 takes of a row's way: the loss's curvature times a squared entry.
_CURVATURE: Final = np.float32(0.1)


class Shared(NamedTuple):
    """Rows that all threads would write.

    Attributes:
        rows: (n, d) float32, merged values.
        sums: (n, d) float32 Adagrad's sums of squares; (1, 1) with SGD.
        visits: (n,) float32 times that an epoch meets each row.
    """

    rows: NDArray[np.float32]
    sums: NDArray[np.float32]
    visits: NDArray[np.float32]


class Copies:
    """Copies of shared rows, one for each thread.

    Args:
        shared: What the threads share.
        threads: Number of threads, T.
        rounds: Merges an epoch.
        adagrad: Whether steps are scaled by Adagrad's sums.
    """

    def __init__(self, shared: list[Shared], threads: int, rounds: int, *, adagrad: bool) -> None:
        self.threads = threads
        self.rounds = rounds
        self._adagrad = adagrad
        self._pool = ThreadPoolExecutor(threads - 1)  # the caller's thread is the first
        self._shared = shared
        self._rows = [torch.empty((threads, *part.rows.shape)).numpy() for part in shared]
        self._sums = [torch.empty((threads, *part.sums.shape)).numpy() for part in shared]

    def rows_of(self, thread: int) -> list[NDArray[np.float32]]:
        """The thread's copies of the rows, in the order of the shared ones."""
        return [rows[thread] for rows in self._rows]

    def sums_of(self, thread: int) -> list[NDArray[np.float32]]:
        """The thread's copies of Adagrad's sums."""
        return [sums[thread] for sums in self._sums]

    def run(self, work: Callable[[int, int], float], lr: float) -> float:
        """Work on the copies for the rounds of an epoch, merging after each.

        Args:
            work: Called as ``work(thread, round)`` in a thread of its own; returns a number.
            lr: Learning rate.

        Returns:
            Sum of what `work` returned, added up in the same order every time.
        """
        barrier = threading.Barrier(self.threads)

        def follow(thread: int) -> float:
            total = 0.0
            try:
                for turn in range(self.rounds):
                    self._copy(thread)
                    total += work(thread, turn)
                    barrier.wait()
                    self._merge(thread, lr)
                    if turn + 1 < self.rounds:
                        barrier.wait()
            except BaseException:
                barrier.abort()
                raise
            return total

        others = [self._pool.submit(follow, thread) for thread in range(1, self.threads)]
        try:
            total = follow(0)
        except threading.BrokenBarrierError:
            for other in others:
                other.result()  # the thread that failed says why
            raise
        return total + sum(other.result() for other in others)

    def _copy(self, thread: int) -> None:
        """Copy the shared rows; the thread itself does, so that they lie in its core's cache."""
        for part, rows, sums in zip(self._shared, self._rows, self._sums, strict=True):
            rows[thread] = part.rows
            sums[thread] = part.sums

    def _merge(self, thread: int, lr: float) -> None:
        """Merge the thread's share of the rows."""
        for part, rows, sums in zip(self._shared, self._rows, self._sums, strict=True):
            edges = [len(part.rows) * k // self.threads for k in (thread, thread + 1)]
            met = np.float32(1.0 / (self.threads * self.rounds))
            _merge(*part, rows, sums, met, np.float32(lr), self._adagrad, *edges)


def shares(sizes: NDArray[np.int64], n: int) -> list[NDArray[np.intp]]:
    """Part blocks into n lists of nearly the same size: the largest first to the least loaded.

    Args:
        sizes: Positives of each block, in the order of visits.
        n: Number of lists.

    Returns:
        The blocks' places in `sizes`, rising within a list.

    Source:
        Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2), 1969.
    """
    loads = [(0, k) for k in range(n)]
    places: list[list[int]] = [[] for _ in range(n)]
    for place in np.argsort(-sizes, kind="stable").tolist():
        load, k = loads[0]
        places[k].append(place)
        heapq.heapreplace(loads, (load + int(sizes[place]), k))
    return [np.sort(np.asarray(own, np.intp)) for own in places]


def rounds_of(n_pairs: int, n_rows: int, threads: int) -> int:
    """How often an epoch merges: 0 where copies would cost more than threads gain.

    Args:
        n_pairs: Positives visited in an epoch.
        n_rows: Shared rows.
        threads: Number of threads.
    """
    return round(n_pairs / (threads * n_rows * _POSITIVES_PER_ROW) + 0.25)


@njit(cache=True, nogil=True, fastmath=set(FAST), error_model="numpy")
def _merge(  # noqa: C901, PLR0913 - a compiled kernel
    shared: Any,
    shared_sums: Any,
    visits: Any,
    rows: Any,
    sums: Any,
    met: Any,
    lr: Any,
    adagrad: Any,
    first: Any,
    last: Any,
) -> None:
    """Bring the changes of all copies of the rows first .. last - 1 together.

    Args:
        shared: (n, d) float32 rows as they were when the round began; become the merged ones.
        shared_sums: Adagrad's sums of squares likewise.
        visits: (n,) float32 times that an epoch meets each row.
        rows: (T, n, d) float32 the threads' copies.
        sums: (T, n, d) float32 the threads' copies of the sums; become their changes.
        met: Share of an epoch's visits that one thread makes in a round.
        lr: Learning rate.
        adagrad: Whether sums are used.
        first: First row.
        last: Row after the last.
    """
    n_threads, _, d = rows.shape
    change = np.empty(d, np.float32)
    for row in range(first, last):
        step = lr
        if adagrad:
            total = np.float32(0.0)
            for f in range(d):
                total += shared_sums[row, f]
            step = lr / (np.float32(1e-3) + math.sqrt(total / d))
            for t in range(n_threads):
                for f in range(d):
                    sums[t, row, f] -= shared_sums[row, f]
            for t in range(n_threads):
                for f in range(d):
                    shared_sums[row, f] += sums[t, row, f]
        left = math.exp(-step * _CURVATURE * visits[row] * met)
        share, power = np.float32(0.0), np.float32(1.0)
        for _ in range(n_threads):
            share += power / n_threads
            power *= left
        for f in range(d):
            change[f] = -n_threads * shared[row, f]
        for t in range(n_threads):
            for f in range(d):
                change[f] += rows[t, row, f]
        for f in range(d):
            shared[row, f] += share * change[f]
