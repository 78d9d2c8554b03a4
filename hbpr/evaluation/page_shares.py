"""How many of an item's neighbours are there only because the same pages show them.

Shapes: I items, n neighbours in question; a page is one list of items shown together.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError
from hbpr.names import METRICS, Part, metric_name

#: Entries of the item x page matrix that are compared at a time.
_ENTRIES: Final = 1 << 22


class Neighbours(NamedTuple):
    """Lists of neighbours, and the pages that showed the items: what a metric of them is given.

    Attributes:
        items: (n,) item indices.
        neighbours: (n,) index of a neighbour of each.
        shown: (n_pages, I) items shown on each page or in each session.
        chosen: (n_pages, I) those of them that were chosen.
    """

    items: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    shown: UserItems
    chosen: UserItems


def page_shares(
    items: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    ranks: NDArray[np.int64],
    *,
    shown: UserItems,
    chosen: UserItems,
    part: Part,
    top_k: Sequence[int],
) -> dict[str, float]:
    """Judge lists of neighbours of several lengths; lower is better.

    Args:
        items: (n,) item indices.
        neighbours: (n,) index of a neighbour of each.
        ranks: (n,) rank of the neighbour in its item's list, from 1.
        shown: (n_pages, I) items shown on each page or in each session.
        chosen: (n_pages, I) those of them that were chosen.
        part: First half of the names.
        top_k: Numbers of neighbours of an item.

    Returns:
        The metrics of neighbours in `hbpr.names.METRICS` that have a meaning, for every k, by full
        name.
    """
    metrics = {}
    for k in dict.fromkeys(top_k):
        found = Neighbours(items[ranks <= k], neighbours[ranks <= k], shown, chosen)
        for name, metric in METRICS.items():
            value = metric(found) if metric.of == "neighbours" else None
            if value is not None:
                metrics[metric_name(part, name, k)] = value
    return metrics


def page_share(found: Neighbours) -> float:
    """See `share_on_same_page`."""
    return share_on_same_page(found.items, found.neighbours, shown=found.shown)


def mere_page_share(found: Neighbours) -> float | None:
    """See `share_of_page_neighbours`; None where everything that was shown was chosen."""
    if found.chosen.n_pairs == found.shown.n_pairs:
        return None
    return share_of_page_neighbours(
        found.items, found.neighbours, shown=found.shown, chosen=found.chosen
    )


def share_on_same_page(items: ArrayLike, neighbours: ArrayLike, *, shown: UserItems) -> float:
    """Share of neighbours that are on some page with the item, whatever was chosen there.

    It grows with the number of pages for every model: where each item is on many pages, look at
    `share_of_page_neighbours`, which asks whether more than the page speaks for the pair.

    Args:
        items: (n,) item indices.
        neighbours: (n,) index of a neighbour of each.
        shown: (n_pages, I) items shown on each page or in each session.

    Returns:
        Share from 0 to 1; NaN without pairs.
    """
    together = _together(shown, np.asarray(items, np.int64), np.asarray(neighbours, np.int64)) > 0
    return float(together.mean()) if len(together) else float("nan")


def share_of_page_neighbours(
    items: ArrayLike, neighbours: ArrayLike, *, shown: UserItems, chosen: UserItems
) -> float:
    """Share of neighbours that merely share the item's pages.

    Such a pair is shown together more often than both would be on pages drawn at random, and is
    chosen together, where both are shown, no more often than two independent choices would be.
    Lower is better; a neighbour that is similar by taste is chosen together beyond chance.

    Args:
        items: (n,) item indices.
        neighbours: (n,) index of a neighbour of each.
        shown: (n_pages, I) items shown on each page or in each session.
        chosen: (n_pages, I) those of them that were chosen.

    Returns:
        Share from 0 to 1; NaN without pairs.

    Raises:
        DataError: The shapes do not agree, or something is chosen that was not shown.
    """
    merely = merely_shown_together(items, neighbours, shown=shown, chosen=chosen)
    return float(merely.mean()) if len(merely) else float("nan")


def merely_shown_together(
    items: ArrayLike, neighbours: ArrayLike, *, shown: UserItems, chosen: UserItems
) -> NDArray[np.bool_]:
    """(n,) whether each pair is one that `share_of_page_neighbours` counts."""
    if (shown.n_users, shown.n_items) != (chosen.n_users, chosen.n_items):
        raise DataError(
            "page neighbours: shown and chosen must be of the same pages and items, got "
            f"{shown.n_users} x {shown.n_items} and {chosen.n_users} x {chosen.n_items}"
        )
    if not shown.contains(chosen).all():
        raise DataError("page neighbours: every chosen item must be among those its page shows")
    one, two = np.asarray(items, np.int64), np.asarray(neighbours, np.int64)
    shown_counts = np.bincount(shown.items, minlength=shown.n_items)
    chosen_counts = np.bincount(chosen.items, minlength=shown.n_items)
    rates = chosen_counts / np.maximum(shown_counts, 1)
    shown_together = _together(shown, one, two)
    chosen_together = _together(chosen, one, two)
    by_chance = shown_counts[one] * shown_counts[two] / max(1, shown.n_users)
    return np.asarray(
        (shown_together > by_chance) & (chosen_together <= shown_together * rates[one] * rates[two])
    )


def _together(
    pages: UserItems, one: NDArray[np.int64], two: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n,) number of pages with both items of each pair."""
    ones = np.ones(pages.n_pairs, np.int64)
    shape = (pages.n_users, pages.n_items)
    by_item = sp.csr_matrix(sp.csr_matrix((ones, pages.items, pages.indptr), shape=shape).T)
    counts = np.zeros(len(one), np.int64)
    ends = np.cumsum(np.diff(by_item.indptr)[one])
    start = 0
    while start < len(one):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _ENTRIES, "right")))
        rows = by_item[one[start:stop]].multiply(by_item[two[start:stop]])
        counts[start:stop] = np.asarray(rows.sum(axis=1)).ravel()
        start = stop
    return counts
