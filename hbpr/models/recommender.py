"""What every model offers to evaluation, lists, neighbours, saving and serving, however it learns.

Shapes: B users in a batch, U users, I items, d size of the vectors of users and of items.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features
from hbpr.neighbours import cosine_scorer

#: (B,) user indices to (B, I) float32 scores; the caller may overwrite the result.
BlockScorer = Callable[[NDArray[np.integer]], NDArray[np.float32]]
#: (n,) user and (n,) item indices to (n,) float32 scores.
PairScorer = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float32]]
#: (B, d) float32 user vectors to (B, I) float32 scores; the caller may overwrite the result.
VectorScorer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
#: Arrays by name: what a model has learnt.
Arrays = dict[str, NDArray[Any]]


class Recommender(ABC):
    """A model that gives any user a score for any item; higher is better.

    A user is a vector: learnt, made from features, or found for a history. `vector_scorer` turns
    it into scores, so that users in and outside of the data are served alike.

    Attributes:
        n_users: Number of users, U.
        n_items: Number of items, I.
        uses_features: Whether users and items are made from their features, so that new ones can
            be scored.
    """

    n_users: int
    n_items: int
    uses_features: ClassVar[bool] = True

    def eval(self) -> Self:
        """Leave training; a model that is the same in training does nothing."""
        return self

    @abstractmethod
    def block_scorer(self) -> BlockScorer:
        """Return a function that scores the whole catalogue for a block of users."""

    @abstractmethod
    def pair_scorer(self) -> PairScorer:
        """Return a function that scores single pairs of user and item."""

    @abstractmethod
    def vector_scorer(self) -> VectorScorer:
        """Return a function that scores the whole catalogue for a block of user vectors.

        The vectors need not be those of known users. Whatever does not depend on the user is
        computed here, once.
        """

    @abstractmethod
    def user_vectors(self, features: Features | None = None) -> NDArray[np.float32]:
        """(U, d) float32 vectors of the users, or of others who are described by features.

        Raises:
            DataError: Features are given, and the model does not use them.
        """

    @abstractmethod
    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) float32 vectors, the caller must not write to them.

        Their directions tell which items are alike.
        """

    def neighbour_scorer(self) -> BlockScorer:
        """Return a function from (B,) item indices to (B, I) similarities, from -1 to 1."""
        return cosine_scorer(self.item_vectors())

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return all that was learnt, by name; later training does not change it."""

    @abstractmethod
    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` of a model for the same data and settings returned."""
