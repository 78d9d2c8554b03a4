"""The k best columns of every row of scores, block by block."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DivergedError

#: (B,) indices to (B, I) float32 scores; the caller may overwrite the result.
BlockScorer = Callable[[NDArray[np.integer]], NDArray[np.float32]]

#: Memory of one block of scores, and rows in it at least, so that a matrix product is efficient.
_BLOCK_BYTES: Final = 2**22
_MIN_ROWS: Final = 64
#: Rows from which on the compiled selection is worth its loading.
_MANY_ROWS: Final = 512


class Lists(NamedTuple):
    """Lists one after the other, one entry per listed item, best first.

    Attributes:
        lists: (n,) int64 which list, by position in the rows asked for.
        items: (n,) int64 item indices.
        scores: (n,) float32.
        ranks: (n,) int64 from 1.
    """

    lists: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int64]

    def between(self, start: int, end: int) -> "Lists":
        """Return a stretch of the entries."""
        part = slice(start, end)
        return Lists(self.lists[part], self.items[part], self.scores[part], self.ranks[part])


def top_k_of(
    score_block: BlockScorer,
    rows: NDArray[np.int64],
    n_items: int,
    k: int,
    *,
    exclude: UserItems | None = None,
    candidates: NDArray[np.bool_] | None = None,
) -> Lists:
    """Find the k best items of each row.

    Args:
        score_block: Maps (B,) of the rows to (B, I) scores, which are overwritten.
        rows: (n,) rows to score; one may come several times.
        n_items: Number of columns, I.
        k: Length of a list, at least 1.
        exclude: Items of each row that are left out; None: none.
        candidates: (I,) items that may be listed; None: all.

    Returns:
        The lists, equal scores in catalogue order. A list has fewer than k entries where there are
        fewer candidates.

    Raises:
        DivergedError: A score is NaN or infinite.
    """
    k = min(k, n_items)
    select = _select
    if len(rows) >= _MANY_ROWS:
        from hbpr.inference.select import select
    parts = []
    size = rows_in_block(n_items)
    for start in range(0, len(rows), size):
        block_rows = rows[start : start + size]
        block = np.require(score_block(block_rows), np.float32, requirements=["C", "W"])
        if not np.isfinite(block).all():
            raise DivergedError(
                "a score is NaN or infinite, so the model's training has diverged; train again "
                "with a lower optimizer.lr or more regularisation"
            )
        if exclude is not None:
            _drop(block, block_rows, exclude)
        if candidates is not None:
            block[:, ~candidates] = -np.inf
        items, scores = select(block, k)
        lists, places = np.nonzero(scores > -np.inf)
        parts.append((lists + start, items[lists, places], scores[lists, places], places + 1))
    if not parts:
        none = np.zeros(0, np.int64)
        return Lists(none, none, np.zeros(0, np.float32), none)
    return Lists(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def rows_in_block(n_items: int) -> int:
    """Return how many rows of float32 scores to handle at a time."""
    return max(_MIN_ROWS, _BLOCK_BYTES // (4 * max(1, n_items)))


def _drop(block: NDArray[np.float32], rows: NDArray[np.int64], exclude: UserItems) -> None:
    """Put -inf on the excluded items of each row."""
    starts, ends = exclude.indptr[rows], exclude.indptr[rows + 1]
    if len(rows) == 1:
        block[0, exclude.items[starts[0] : ends[0]]] = -np.inf
        return
    counts = ends - starts
    stops = np.cumsum(counts)
    entries = np.arange(stops[-1]) + np.repeat(starts - (stops - counts), counts)
    block[np.repeat(np.arange(len(rows)), counts), exclude.items[entries]] = -np.inf


def _select(block: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(B, k) columns of the k highest scores of each row and their scores, best first."""
    if len(block) == 1:
        return _select_one(block[0], k)
    items = _best_columns(block, k)
    scores = np.take_along_axis(block, items, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _select_one(row: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The same of one row alone, with half of the steps."""
    lowest = np.partition(row, len(row) - k)[len(row) - k]
    items = np.flatnonzero(row >= lowest)
    items = items[np.argsort(-row[items], kind="stable")[:k]]  # of a tie the first ones
    return items[None], row[items][None]


def _best_columns(block: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(B, k) columns of the k highest scores of each row, rising; the first ones of a tie."""
    n_items = block.shape[1]
    lowest = np.partition(block, n_items - k, axis=1)[:, n_items - k, None]
    chosen = block >= lowest
    surplus = np.flatnonzero(chosen.sum(axis=1) > k)
    if len(surplus):
        tied = block[surplus] == lowest[surplus]
        room = k - (block[surplus] > lowest[surplus]).sum(axis=1)
        late = tied & (np.cumsum(tied, axis=1) > room[:, None])
        chosen[surplus] &= ~late
    return np.nonzero(chosen)[1].reshape(len(block), k)
