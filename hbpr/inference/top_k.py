"""The k best columns of every row of scores, block by block."""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DivergedError
from hbpr.evaluation.ranks import ScoreBlock, rows_in_block


def top_k_of(
    score_block: ScoreBlock,
    rows: NDArray[np.int64],
    n_items: int,
    k: int,
    *,
    exclude: UserItems | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Find the k best items of each row.

    Args:
        score_block: Maps (B,) of the rows to (B, I) scores, which are overwritten.
        rows: (n,) rows to score; one may come several times.
        n_items: Number of columns, I.
        k: Length of a list, at least 1.
        exclude: Items of each row that are left out; None: none.

    Returns:
        Four arrays with one entry per listed item, lists one after the other, best first, equal
        scores in catalogue order: position in `rows`, item, score, and rank from 1. A list has
        fewer than k entries where there are fewer candidates.

    Raises:
        DivergedError: A score is NaN or infinite.
    """
    k = min(k, n_items)
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
        items = _best_columns(block, k)
        scores = np.take_along_axis(block, items, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        items, scores = (np.take_along_axis(array, order, axis=1) for array in (items, scores))
        lists, places = np.nonzero(scores > -np.inf)
        parts.append((lists + start, items[lists, places], scores[lists, places], places + 1))
    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0, np.float32), none
    lists, items, scores, ranks = (np.concatenate(column) for column in zip(*parts, strict=True))
    return lists, items, scores, ranks


def _drop(block: NDArray[np.float32], rows: NDArray[np.int64], exclude: UserItems) -> None:
    """Put -inf on the excluded items of each row."""
    starts, counts = exclude.indptr[rows], exclude.counts[rows]
    ends = np.cumsum(counts)
    entries = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    block[np.repeat(np.arange(len(rows)), counts), exclude.items[entries]] = -np.inf


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
