"""Models of feature vectors: what they offer to engines that follow gradients.

Shapes: B users in a batch, N items each, U users, I items, P user features, Q item features, d size
of the vectors of users and of items.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbpr.data.interactions import Features
from hbpr.models.features import FeatureSums, combine
from hbpr.models.gathered import L2
from hbpr.models.l2 import add_l2
from hbpr.models.recommender import Arrays, BlockScorer, PairScorer, Recommender, VectorScorer

__all__ = ["BlockScorer", "FeatureRecommender", "PairScorer", "Recommender", "VectorScorer"]


class FeatureRecommender(nn.Module, Recommender):
    """A model that is trained along gradients, as torch holds it.

    Users and items are sums of the vectors of their features; what a model makes of two such
    vectors is its own.

    Args:
        user_features: (U, P) features of the users.
        item_features: (I, Q) features of the items.
        first_U: (P, d) first vectors of the user features, kept as the parameter ``U``.
        first_V: (Q, d) first vectors of the item features, kept as the parameter ``V``.
        item_bias: Learn a bias for every item feature, from 0: the parameter ``b``.
    """

    def __init__(
        self,
        user_features: Features,
        item_features: Features,
        first_U: Tensor,
        first_V: Tensor,
        *,
        item_bias: bool,
    ) -> None:
        super().__init__()
        self.n_users = user_features.n_rows
        self.n_items = item_features.n_rows
        self.item_bias = item_bias
        self.user_features = user_features
        self.item_features = item_features
        self.U = nn.Parameter(first_U)
        self.V = nn.Parameter(first_V)
        self.b = nn.Parameter(torch.zeros(item_features.n_features), requires_grad=item_bias)
        self._users = FeatureSums(user_features)
        self._items = FeatureSums(item_features)

    def embed_users(self, users: Tensor) -> Tensor:
        """(*users.shape, d) vectors of user indices, as `score` takes them."""
        return self.final_users(self._users.sum(self.U, users))

    def embed_items(self, items: Tensor) -> tuple[Tensor, Tensor | None]:
        """Vectors (*items.shape, d) of item indices, and biases (*items.shape,) or None."""
        vectors = self.final_items(self._items.sum(self.V, items))
        if not self.item_bias:
            return vectors, None
        return vectors, self._items.sum(self.b.unsqueeze(1), items).squeeze(-1)

    def final_users(self, sums: Tensor) -> Tensor:
        """Turn sums (..., d) of feature vectors into the user vectors that everything scores."""
        return sums

    def final_items(self, sums: Tensor) -> Tensor:
        """Turn sums (..., d) of feature vectors into the item vectors that everything scores."""
        return sums

    @abstractmethod
    def score(self, users: Tensor, items: Tensor, biases: Tensor | None) -> Tensor:
        """Scores (...,) of vectors of users and items (..., d); shapes broadcast."""

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

    def batch_scores(self, users_B: Tensor, items_BM: Tensor, l2: L2) -> Tensor:
        """Score a batch to learn from: (B, M), with L2 added to the gradients.

        Args:
            users_B: (B,) int64 user indices.
            items_BM: (B, M) int64 item indices.
            l2: What each vector's gradient gets besides that of the scores.
        """
        users = self.final_users(add_l2(self._users.sum(self.U, users_B), l2.user))
        sums = self._items.sum(self.V, items_BM)
        items = self.final_items(add_l2(sums, l2.items.unsqueeze(1)))
        biases = None
        if self.item_bias:
            biases = self._items.sum(self.b.unsqueeze(1), items_BM).squeeze(-1)
        if biases is not None:
            biases = add_l2(biases, l2.bias)
        return self.score(users.unsqueeze(1), items, biases)

    def block_scorer(self) -> BlockScorer:
        """Return a function that scores the whole catalogue for a block of users."""
        users_Ud, score = self.user_vectors(), self.vector_scorer()
        return lambda users_B: score(users_Ud[users_B])

    def user_vectors(self, features: Features | None = None) -> NDArray[np.float32]:
        """(U, d) float32 vectors that score; with indicators alone they may be the parameter's own.

        Args:
            features: (U, P) features of other users, by the same P columns; None: the model's own.
        """
        features = self.user_features if features is None else features
        return combine(features, self.U.detach().cpu().numpy())

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) float32 vectors that score; with indicators alone they may be the parameter's own.

        Their directions tell which items are alike; biases are left out.
        """
        return combine(self.item_features, self.V.detach().cpu().numpy())

    def item_biases(self) -> NDArray[np.float32]:
        """(I,) float32 biases ``Fi @ b``; a view of the parameter with indicators alone."""
        return combine(self.item_features, self.b.detach().cpu().numpy())

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

    def arrays(self) -> Arrays:
        """Return copies of the parameters, see `parameters_as_arrays`."""
        return parameters_as_arrays(self)

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into the parameters, see `load_arrays`."""
        load_arrays(self, arrays)


def parameters_as_arrays(model: nn.Module) -> Arrays:
    """Copy a model's parameters to numpy, by their names in `state_dict`."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def load_arrays(model: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Copy arrays made by `parameters_as_arrays` into a model of the same shape, in place."""
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            value.copy_(torch.from_numpy(np.asarray(arrays[name])))
