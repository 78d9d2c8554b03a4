"""Generated pages with known tastes: what is shown together and what is liked together differ.

Every item has a taste and a shelf, drawn apart from each other. A page shows items of one shelf;
a user visits few shelves and chooses mostly items of the own tastes. So two items of a shelf are
chosen by the same users more often than chance, only because they are shown to them together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.data.user_item import UserItemData

#: Probability that a shown item is chosen: of the user's tastes, and of another.
CHOSEN_LIKED, CHOSEN_OTHER = 0.6, 0.1


@dataclass(frozen=True)
class Pages:
    """Generated pages and the truth behind them; ids are 0..n-1 and equal the indices.

    Attributes:
        users: (n_pages,) int64 user of each page.
        shown: (n_pages, I) items of each page.
        chosen: (n_pages, I) those of them that were chosen.
        tastes: (I,) int64 taste of each item.
        shelves: (I,) int64 shelf of each item.
        likes: (U, n_tastes) whether a user has a taste.
    """

    users: NDArray[np.int64]
    shown: UserItems
    chosen: UserItems
    tastes: NDArray[np.int64]
    shelves: NDArray[np.int64]
    likes: NDArray[np.bool_]

    def data(self) -> UserItemData:
        """Chosen items as positives, pages as they are: the rest is observed negatives."""
        data = UserItemData(name="pages")
        data.add_positive_interactions(self.users[self.chosen.users()], self.chosen.items)
        page = self.shown.users()
        data.add_pages(self.users[page], self.shown.items, page)
        return data


def generate_pages(
    *,
    n_users: int = 1500,
    n_items: int = 300,
    n_tastes: int = 10,
    n_shelves: int = 15,
    pages_per_user: int = 8,
    page_size: int = 10,
    seed: int = 0,
) -> Pages:
    """Generate pages.

    Each user has two tastes and visits a quarter of the shelves, at least two.

    Args:
        n_users: Number of users, U.
        n_items: Number of items, I.
        n_tastes: Number of tastes, at least 2.
        n_shelves: Number of shelves, at least 2.
        pages_per_user: Pages that each user sees.
        page_size: Items on a page; fewer where a shelf has fewer.
        seed: Seed of everything.
    """
    rng = np.random.default_rng(seed)
    tastes = rng.permutation(n_items) % n_tastes
    shelves = rng.permutation(n_items) % n_shelves
    likes = np.zeros((n_users, n_tastes), bool)
    np.put_along_axis(likes, rng.random(likes.shape).argsort(1)[:, :2], True, axis=1)
    n_visited = max(2, n_shelves // 4)
    visited = rng.random((n_users, n_shelves)).argsort(1)[:, :n_visited]
    users = np.repeat(np.arange(n_users), pages_per_user)
    shelf = visited[users, rng.integers(0, n_visited, len(users))]
    scores = rng.random((len(users), n_items))
    scores[shelves[None, :] != shelf[:, None]] = -1.0
    items = np.argsort(-scores, axis=1)[:, :page_size]
    shown = np.take_along_axis(scores, items, axis=1) >= 0.0
    liked = likes[users[:, None], tastes[items]]
    chosen = shown & (rng.random(items.shape) < np.where(liked, CHOSEN_LIKED, CHOSEN_OTHER))

    def pairs(mask: NDArray[np.bool_]) -> UserItems:
        pages, columns = np.nonzero(mask)
        return UserItems.from_pairs(
            pages, items[pages, columns], n_users=len(users), n_items=n_items
        )

    return Pages(users, pairs(shown), pairs(chosen), tastes, shelves, likes)
