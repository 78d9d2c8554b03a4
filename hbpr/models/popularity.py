"""The same list for everyone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.models.recommender import Arrays, BlockScorer, PairScorer, VectorScorer
from hbpr.models.solved import SolvedRecommender


class Popularity(SolvedRecommender):
    """Ranks items by the number of training users who chose them, the same for everyone.

    A user's vector is the number 1, an item's its score.

    Attributes:
        scores: (I,) float32 number of users of each item.
    """

    def __init__(self, train: UserItems) -> None:
        super().__init__(train)
        self._chosen = train.items
        self.solve()

    def solve(self, *, threads: int = 1) -> float:
        """Count; there is no loss."""
        self.scores = np.bincount(self._chosen, minlength=self.n_items).astype(np.float32)
        return 0.0

    def block_scorer(self) -> BlockScorer:
        """Return the function that gives everyone the same scores."""
        return lambda users_B: np.tile(self.scores, (len(users_B), 1))

    def pair_scorer(self) -> PairScorer:
        """Return a function that looks at the items alone."""
        return lambda _users_n, items_n: self.scores[items_n]

    def vector_scorer(self) -> VectorScorer:
        """Return a function that multiplies the scores by (B, 1) vectors."""
        return lambda users_B1: np.asarray(users_B1 * self.scores, np.float32)

    def known_vectors(self) -> NDArray[np.float32]:
        """(U, 1) ones."""
        return np.ones((self.n_users, 1), np.float32)

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, 1) scores."""
        return self.scores[:, None]

    def fold_in(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return (1,) one: a history changes nothing."""
        return np.ones(1, np.float32)

    def arrays(self) -> Arrays:
        """Return the scores."""
        return {"scores": self.scores}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over scores."""
        self.scores = np.asarray(arrays["scores"], np.float32)
