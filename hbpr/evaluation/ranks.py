"""Ranks of the held-out items among a user's candidates, by counting instead of sorting.

The rank of a held-out item is one plus the number of candidates scored higher: one pass over the
user's scores that the compiler turns into vector instructions. It beats sorting the row, and a
binary search of the sorted held-out scores, up to about a thousand held-out items of one user.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numba
import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError, DivergedError
from hbpr.evaluation.best import best_of_rows

#: Scores a block of users: ``(B,) users -> (B, I) scores``, see `hbpr.evaluation.Scorer`.
ScoreBlock = Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]

#: Memory of one block of scores: fills most of a core's second-level cache.
BLOCK_BYTES = 2**20
#: Users in a block at least, so that the matrix product stays efficient for large catalogues.
MIN_BLOCK_USERS = 64


@dataclass(frozen=True)
class Ranks:
    """Where each evaluated user's held-out items stand; n users with something held out.

    Rank 1 is the best. Items with the
    same score share the ranks of their tie evenly: h held-out items among t equal candidates
    that follow a better ones stand at ``a + j (t + 1) / (h + 1)`` for j = 1..h, the mean position
    of the j-th of them under a random order of the tie. For one held-out item that is the middle
    rank ``a + (t + 1) / 2``; the j-th rank of a user is never below j.

    Attributes:
        users: (n,) int64 user of each row, rising.
        indptr: (n + 1,) int64; row r has ``ranks[indptr[r]:indptr[r + 1]]``, never empty.
        ranks: (n_pairs,) float64, from 1, rising within a user.
        n_candidates: (n,) int64 candidates of each user, held-out items included.
        top: (n, K) int32 the K best candidates of each user, see `Recommended.items`; K is 0
            unless they were asked for.
    """

    users: NDArray[np.int64]
    indptr: NDArray[np.int64]
    ranks: NDArray[np.float64]
    n_candidates: NDArray[np.int64]
    top: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 0), np.int32))

    @property
    def n_users(self) -> int:
        """Number of users with something held out."""
        return len(self.users)

    @property
    def n_held_out(self) -> NDArray[np.int64]:
        """(n,) number of held-out items of each user."""
        return np.diff(self.indptr)

    def of(self, rows: NDArray[np.bool_]) -> Self:
        """Ranks of the users whose (n,) row is true."""
        n_held_out = self.n_held_out
        indptr = np.zeros(int(rows.sum()) + 1, np.int64)
        np.cumsum(n_held_out[rows], out=indptr[1:])
        kept = self.ranks[np.repeat(rows, n_held_out)]
        top = self.top[rows] if self.top.size else self.top
        return type(self)(self.users[rows], indptr, kept, self.n_candidates[rows], top)


def held_out_ranks(
    score_block: ScoreBlock,
    held_out: UserItems,
    exclude: UserItems,
    *,
    longest: int = 0,
    block_bytes: int = BLOCK_BYTES,
) -> Ranks:
    """Rank every held-out item among its user's candidates.

    Runs on the calling thread, users with nothing held out are not scored. Time is that of the
    scores plus one pass over the catalogue per held-out item.

    Args:
        score_block: Maps (B,) user indices to (B, I) float32 or float64 scores, higher is
            better. The block is overwritten here. Infinite scores are ordered like any other.
        held_out: (U, I) pairs to rank.
        exclude: (U, I) pairs that are no candidates, for instance those seen in training. A pair
            that is also held out stays a candidate.
        longest: Best candidates of each user to return as well; 0: none, which costs nothing.
        block_bytes: Memory of one block of scores.

    Returns:
        The ranks of the users with something held out.

    Raises:
        DataError: The shapes of `held_out`, `exclude` and the scores do not agree.
        DivergedError: A score is NaN.
    """
    n_items = held_out.n_items
    if (exclude.n_users, exclude.n_items) != (held_out.n_users, n_items):
        raise DataError(
            "evaluation: held_out and exclude must speak of the same users and items, got "
            f"{held_out.n_users} x {n_items} and {exclude.n_users} x {exclude.n_items}"
        )
    users = np.flatnonzero(held_out.counts)
    indptr = np.zeros(len(users) + 1, np.int64)
    np.cumsum(held_out.counts[users], out=indptr[1:])
    ranks = np.empty(held_out.n_pairs)
    n_candidates = np.empty(len(users), np.int64)
    top = np.empty((len(users), min(longest, n_items)), np.int32)
    block_users = rows_in_block(n_items, block_bytes)
    pairs = [readonly(a) for a in (held_out.indptr, held_out.items, exclude.indptr, exclude.items)]
    for start in range(0, len(users), block_users):
        stop = min(start + block_users, len(users))
        block = np.require(score_block(users[start:stop]), requirements=["C", "W"])
        if block.shape != (stop - start, n_items) or block.dtype not in (np.float32, np.float64):
            raise DataError(
                f"evaluation: the scorer must return float32 scores of shape "
                f"{(stop - start, n_items)}, got {block.dtype} of shape {block.shape}"
            )
        bad = _rank_block(
            block,
            users[start:stop],
            *pairs,
            indptr[start : stop + 1],
            ranks,
            n_candidates[start:stop],
        )
        if bad >= 0:
            raise DivergedError(
                f"evaluation: a score of user {users[start + bad]} (by index) is NaN, so the "
                "training has diverged; lower optimizer.lr or raise the regularisation"
            )
        if longest:
            best_of_rows(block, top[start:stop])
    return Ranks(users, indptr, ranks, n_candidates, top)


def rows_in_block(n_items: int, block_bytes: int = BLOCK_BYTES) -> int:
    """Return how many rows of float32 scores to handle at a time."""
    return max(MIN_BLOCK_USERS, block_bytes // (4 * max(1, n_items)))


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """View that is always read-only: arrays of an object store are, and one compiled form does."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _rank_rows(  # type: ignore[no-untyped-def]  # noqa: PLR0913 - a compiled kernel
    block, users, held_indptr, held_items, seen_indptr, seen_items, indptr, ranks, n_candidates
):
    """Fill ranks and n_candidates of a block of users; return the row that has a NaN, or -1.

    Counters are cut back to int32 at every step: as wide as the scores, so that a vector
    instruction handles twice to four times as many (Numba adds two int32 to an int64).
    """
    n_items = block.shape[1]
    for r in range(block.shape[0]):
        row = block[r]
        n_nan = np.int32(0)
        for i in range(n_items):
            n_nan = np.int32(n_nan + (row[i] != row[i]))
        if n_nan > 0:
            return r
        held = held_items[held_indptr[users[r]] : held_indptr[users[r] + 1]]
        seen = seen_items[seen_indptr[users[r]] : seen_indptr[users[r] + 1]]
        # NaN compares false with everything, so excluded items drop out of both counts.
        scores = row[held]
        for item in seen:
            row[item] = np.nan
        candidates = n_items - len(seen)
        for j in range(len(held)):
            if np.isnan(row[held[j]]):
                row[held[j]] = scores[j]
                candidates += 1
        n_candidates[r] = candidates

        keys = np.empty(len(held), np.int64)
        for j in range(len(held)):
            score = scores[j]
            higher = np.int32(0)
            equal = np.int32(0)
            for i in range(n_items):
                higher = np.int32(higher + (row[i] > score))
                equal = np.int32(equal + (row[i] == score))
            keys[j] = np.int64(higher) << 32 | np.int64(equal)
        place_ties(keys, ranks[indptr[r] : indptr[r + 1]])
    return -1


def _place_ties(keys, ranks):  # type: ignore[no-untyped-def]
    """Fill one user's ranks from ``higher << 32 | equal`` of each held-out item; sorts `keys`."""
    # Shell's sort with Knuth's gaps: a fraction of what NumPy's takes to compile.
    gap = 1
    while gap < len(keys) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, len(keys)):
            key, at = keys[i], i
            while at >= gap and keys[at - gap] > key:
                keys[at] = keys[at - gap]
                at -= gap
            keys[at] = key
        gap //= 3
    j = 0
    while j < len(keys):
        end = j + 1
        while end < len(keys) and keys[end] == keys[j]:
            end += 1
        better = keys[j] >> 32
        tied = keys[j] & 0xFFFFFFFF
        step = (tied + 1) / (end - j + 1)
        for t in range(j, end):
            ranks[t] = better + (t - j + 1) * step
        j = end


#: `_place_ties`, compiled.
place_ties: Callable[..., None] = numba.njit(cache=True, nogil=True)(_place_ties)


#: `_rank_rows`, compiled: the array arguments of the two pair lists must be read-only.
_rank_block: Callable[..., int] = numba.njit(cache=True, nogil=True)(_rank_rows)
