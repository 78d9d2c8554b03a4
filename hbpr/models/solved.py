"""Models that are solved for from interactions alone, in one pass or a few."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features, UserItems
from hbpr.errors import DataError
from hbpr.models.recommender import Recommender


class SolvedRecommender(Recommender):
    """A model that knows users and items by who chose what.

    Features, observed negatives and losses say nothing to it. Users and items that nobody met
    score 0.

    Args:
        train: (U, I) interactions to learn from.
    """

    uses_features: ClassVar[bool] = False

    def __init__(self, train: UserItems) -> None:
        self.n_users = train.n_users
        self.n_items = train.n_items

    @abstractmethod
    def solve(self, *, threads: int = 1) -> float:
        """Take one pass; return the loss it ends with, for a mean interaction.

        Args:
            threads: CPU threads of torch's matrix products.
        """

    @abstractmethod
    def fold_in(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the (d,) vector of a user with a history of (h,) distinct items."""

    @abstractmethod
    def known_vectors(self) -> NDArray[np.float32]:
        """(U, d) float32 vectors of the users in the data."""

    def user_vectors(self, features: Features | None = None) -> NDArray[np.float32]:
        """See `Recommender.user_vectors`; features are refused."""
        if features is not None:
            raise DataError(
                f"{type(self).__name__} knows a user by the items of that user alone, not by "
                "features; give it a history (recommend_for_history), or train model.kind mf"
            )
        return self.known_vectors()
