"""What every trained model offers to training, evaluation and serving.

Shapes: B users in a batch, N items each, U users, I items; p and q sizes of the vectors of users
and of items, d both where they agree.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbpr.data.interactions import Features
from hbpr.models.gathered import L2
from hbpr.models.l2 import add_l2

#: (B,) user indices to (B, I) float32 scores; the caller may overwrite the result.
BlockScorer = Callable[[NDArray[np.integer]], NDArray[np.float32]]
#: (n,) user and (n,) item indices to (n,) float32 scores.
PairScorer = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float32]]
#: (B, p) float32 user vectors to (B, I) float32 scores; the caller may overwrite the result.
VectorScorer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Recommender(nn.Module, ABC):
    """A model that gives any user a score for any item; higher is better."""

    n_users: int
    n_items: int

    @abstractmethod
    def embed_users(self, users: Tensor) -> Tensor:
        """(*users.shape, p) vectors of user indices."""

    @abstractmethod
    def embed_items(self, items: Tensor) -> tuple[Tensor, Tensor | None]:
        """Vectors (*items.shape, q) of item indices, and biases (*items.shape,) or None."""

    @abstractmethod
    def score(self, users: Tensor, items: Tensor, biases: Tensor | None) -> Tensor:
        """Scores (...,) of embedded users (..., p) and items (..., q); shapes broadcast."""

    def forward(self, users_B: Tensor, items: Tensor) -> Tensor:
        """Score items for users.

        Args:
            users_B: (B,) int64 user indices.
            items: (B,) or (B, N) int64 item indices.

        Returns:
            Scores with the shape of `items`.
        """
        users = self.embed_users(users_B)
        return self.score(
            users.unsqueeze(1) if items.dim() == 2 else users, *self.embed_items(items)
        )

    @abstractmethod
    def vector_scorer(self) -> VectorScorer:
        """Return a function that scores the whole catalogue for a block of user vectors.

        The vectors need not be those of known users. Whatever does not depend on the user is
        computed here, once.
        """

    def batch_scores(self, users_B: Tensor, items_BM: Tensor, l2: L2) -> Tensor:
        """Score a batch to learn from: (B, M), with L2 added to the gradients.

        Args:
            users_B: (B,) int64 user indices.
            items_BM: (B, M) int64 item indices.
            l2: What each vector's gradient gets besides that of the scores.
        """
        users = add_l2(self.embed_users(users_B), l2.user)
        items, biases = self.embed_items(items_BM)
        items = add_l2(items, l2.items.unsqueeze(1))
        if biases is not None:
            biases = add_l2(biases, l2.bias)
        return self.score(users.unsqueeze(1), items, biases)

    def block_scorer(self) -> BlockScorer:
        """Return a function that scores the whole catalogue for a block of users."""
        users_Up, score = self.user_vectors(), self.vector_scorer()
        return lambda users_B: score(users_Up[users_B])

    @abstractmethod
    def user_vectors(self, features: Features | None = None) -> NDArray[np.float32]:
        """(U, p) vectors of all users, as `embed_users` gives them.

        Args:
            features: (U, P) features of other users, by the same P columns; None: the model's own.
        """

    def pair_scorer(self) -> PairScorer:
        """Return a function that scores single pairs of user and item."""
        device = next(self.parameters()).device

        def score(
            users_n: NDArray[np.integer], items_n: NDArray[np.integer]
        ) -> NDArray[np.float32]:
            users = torch.from_numpy(users_n.astype(np.int64)).to(device)
            items = torch.from_numpy(items_n.astype(np.int64)).to(device)
            training = self.training
            self.eval()
            try:
                with torch.no_grad():
                    return np.asarray(self(users, items).float().cpu().numpy())
            finally:
                self.train(training)

        return score

    @abstractmethod
    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) vectors whose directions tell which items are alike; biases are left out."""


def parameters_as_arrays(model: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Copy a model's parameters to numpy, by their names in `state_dict`."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def load_arrays(model: nn.Module, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Copy arrays made by `parameters_as_arrays` into a model of the same shape, in place."""
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            value.copy_(torch.from_numpy(np.asarray(arrays[name])))
