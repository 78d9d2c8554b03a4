"""Ranks of the held-out items among a list of candidates for each user.

Protocols of papers rank one held-out item among, say, 99 sampled others, or only among what the
user was seen to reject. Such numbers compare only with numbers from the same lists.
"""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError, DivergedError
from hbpr.evaluation.best import best_of_lists
from hbpr.evaluation.ranks import Ranks, ScoreBlock, place_ties, readonly, rows_in_block

#: Scores pairs: (n,) users and (n,) items to (n,) scores, see `hbpr.evaluation.PairScorer`.
ScorePairs = Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.floating[Any]]]

#: Pairs that are scored at a time, but for a user with more of them.
_PAIRS: Final = 1 << 17


def listed_ranks(
    score_pairs: ScorePairs,
    held_out: UserItems,
    exclude: UserItems,
    candidates: UserItems,
    *,
    longest: int = 0,
) -> Ranks:
    """Rank every held-out item among its user's candidates.

    Args:
        score_pairs: Scores (user, item) pairs, higher is better; users come in rising order.
        held_out: (U, I) pairs to rank; they always are candidates.
        exclude: (U, I) pairs that are no candidates, also where they are listed.
        candidates: (U, I) pairs to rank among; a user without any is ranked among what is held
            out alone.
        longest: Best candidates of each user to return as well; 0: none.

    Returns:
        The ranks of the users with something held out; ties as in `Ranks`.

    Raises:
        DataError: The shapes of the three do not agree.
        DivergedError: A score is NaN.
    """
    shape = (held_out.n_users, held_out.n_items)
    for name, pairs in (("exclude", exclude), ("candidates", candidates)):
        if (pairs.n_users, pairs.n_items) != shape:
            raise DataError(
                f"evaluation: held_out and {name} must speak of the same users and items, got "
                f"{shape[0]} x {shape[1]} and {pairs.n_users} x {pairs.n_items}"
            )
    users = np.flatnonzero(held_out.counts)
    indptr = np.zeros(len(users) + 1, np.int64)
    np.cumsum(held_out.counts[users], out=indptr[1:])
    most = held_out.n_pairs + int(candidates.counts[users].sum())
    items, held = np.empty(most, np.int32), np.empty(most, bool)
    ends = np.zeros(len(users) + 1, np.int64)
    lists = [
        readonly(array)
        for pairs in (held_out, exclude, candidates)
        for array in (pairs.indptr, pairs.items)
    ]
    _merge(users, *lists, items, held, ends)
    ranks = np.empty(held_out.n_pairs)
    top = np.empty((len(users), min(longest, held_out.n_items)), np.int32)
    start = 0
    while start < len(users):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _PAIRS, "right")) - 1)
        pairs_ = slice(ends[start], ends[stop])
        scores = score_pairs(
            np.repeat(users[start:stop], np.diff(ends[start : stop + 1])), items[pairs_]
        )
        if len(scores) != ends[stop] - ends[start] or scores.dtype not in (np.float32, np.float64):
            raise DataError(
                f"evaluation: the scorer must return {ends[stop] - ends[start]} float32 scores, "
                f"got {scores.dtype} of shape {scores.shape}"
            )
        bad = _rank(
            readonly(scores),
            held[pairs_],
            ends[start : stop + 1] - ends[start],
            indptr[start : stop + 1],
            ranks,
        )
        if bad >= 0:
            raise DivergedError(
                f"evaluation: a score of user {users[start + bad]} (by index) is NaN, so the "
                "training has diverged; lower optimizer.lr or raise the regularisation"
            )
        if longest:
            inside = ends[start : stop + 1] - ends[start]
            best_of_lists(readonly(scores), items[pairs_], inside, top[start:stop])
        start = stop
    return Ranks(users, indptr, ranks, np.diff(ends), top)


def pairs_from_blocks(score_block: ScoreBlock, n_items: int) -> ScorePairs:
    """Return a scorer of pairs, users in rising order, that picks them from blocks of scores."""

    def score(users: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.floating[Any]]:
        first = np.flatnonzero(np.diff(users, prepend=-1))
        ends = np.append(first, len(users))
        parts = []
        size = rows_in_block(n_items)
        for start in range(0, len(first), size):
            rows = first[start : start + size]
            block = score_block(users[rows])
            part = slice(ends[start], ends[start + len(rows)])
            counts = np.diff(ends[start : start + len(rows) + 1])
            parts.append(block[np.repeat(np.arange(len(rows)), counts), items[part]])
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    return score


def _merge_lists(  # type: ignore[no-untyped-def]  # noqa: PLR0913 - a compiled kernel
    users, held_ptr, held_items, out_ptr, out_items, list_ptr, list_items, items, held, ends
):
    """Fill items, held and ends: each user's list without what is excluded, and what is held."""
    at = 0
    for row in range(len(users)):
        user = users[row]
        h, h_end = held_ptr[user], held_ptr[user + 1]
        x, x_end = out_ptr[user], out_ptr[user + 1]
        c, c_end = list_ptr[user], list_ptr[user + 1]
        while h < h_end or c < c_end:
            if c == c_end or (h < h_end and held_items[h] <= list_items[c]):
                item = held_items[h]
                if c < c_end and list_items[c] == item:
                    c += 1
                h += 1
                items[at], held[at] = item, True
                at += 1
                continue
            item = list_items[c]
            c += 1
            while x < x_end and out_items[x] < item:
                x += 1
            if x == x_end or out_items[x] != item:
                items[at], held[at] = item, False
                at += 1
        ends[row + 1] = at


def _rank_lists(scores, held, ends, indptr, ranks):  # type: ignore[no-untyped-def]
    """Fill ranks of some users; return the row that has a NaN, or -1."""
    for row in range(len(ends) - 1):
        start, end = ends[row], ends[row + 1]
        for i in range(start, end):
            if scores[i] != scores[i]:
                return row
        keys = np.empty(indptr[row + 1] - indptr[row], np.int64)
        j = 0
        for i in range(start, end):
            if held[i]:
                higher, equal = 0, 0
                for other in range(start, end):
                    higher += scores[other] > scores[i]
                    equal += scores[other] == scores[i]
                keys[j] = higher << 32 | equal
                j += 1
        place_ties(keys, ranks[indptr[row] : indptr[row + 1]])
    return -1


_merge: Callable[..., None] = numba.njit(cache=True, nogil=True)(_merge_lists)
_rank: Callable[..., int] = numba.njit(cache=True, nogil=True)(_rank_lists)
