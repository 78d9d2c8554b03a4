"""Neighbours that an item has only because both are shown on the same pages.

Shapes: I items, n neighbours in question; a page is one list of items shown together.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError


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
    matrix = sp.csr_matrix((ones, pages.items, pages.indptr), shape=(pages.n_users, pages.n_items))
    gram = sp.csr_matrix(matrix.T @ matrix)
    return np.asarray(gram[one, two]).ravel()
