"""Hybrid matrix factorization: users and items are sums of the vectors of their features.

Shapes: B users in a batch, N items each, U users, I items, P user features, Q item features,
d latent size.
"""

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbpr.data.interactions import Features
from hbpr.models.base import BlockScorer, Recommender


class MatrixFactorization(Recommender):
    """Score ``(Fu[u] @ U) · (Fi[i] @ V) + Fi[i] @ b`` with sparse features `Fu` and `Fi`.

    With one indicator a row this is the matrix factorization of Rendle et al., "BPR: Bayesian
    personalized ranking from implicit feedback", UAI 2009; with metadata it is the hybrid model
    of Kula, "Metadata embeddings for user and item cold-start recommendations", 2015.

    Args:
        user_features: (U, P) features of the users.
        item_features: (I, Q) features of the items.
        n_latent: Size of the vectors, d.
        item_bias: Learn a bias for every item feature.
        init_std: Deviation of the normal distribution of the first weights. It is divided by
            sqrt(d), so that first scores keep their size whatever d is; biases start at 0.
        seed: Seed of the first weights.
    """

    def __init__(
        self,
        user_features: Features,
        item_features: Features,
        *,
        n_latent: int = 64,
        item_bias: bool = True,
        init_std: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_users = user_features.n_rows
        self.n_items = item_features.n_rows
        self.n_latent = n_latent
        self.item_bias = item_bias
        self.user_features = user_features
        self.item_features = item_features
        rng = np.random.default_rng(seed)
        scale = np.float32(init_std / np.sqrt(n_latent))

        def first(n_rows: int) -> nn.Parameter:
            weights = rng.standard_normal((n_rows, n_latent), dtype=np.float32) * scale
            return nn.Parameter(torch.from_numpy(weights))

        self.U = first(user_features.n_features)
        self.V = first(item_features.n_features)
        self.b = nn.Parameter(torch.zeros(item_features.n_features), requires_grad=item_bias)
        self._users = _Bags(user_features)
        self._items = _Bags(item_features)

    def embed_users(self, users: Tensor) -> Tensor:
        """(*users.shape, d) vectors of users."""
        return self._users.sum(self.U, users)

    def embed_items(self, items: Tensor) -> tuple[Tensor, Tensor | None]:
        """(*items.shape, d) vectors of items and their biases."""
        vectors = self._items.sum(self.V, items)
        if not self.item_bias:
            return vectors, None
        return vectors, self._items.sum(self.b.unsqueeze(1), items).squeeze(-1)

    def score(self, users: Tensor, items: Tensor, biases: Tensor | None) -> Tensor:
        """Inner products, plus the biases."""
        scores = (users * items).sum(-1)
        return scores if biases is None else scores + biases

    def user_vectors(self) -> NDArray[np.float32]:
        """(U, d) float32 vectors ``Fu @ U``; a view of the parameter with indicators alone."""
        return _combine(self.user_features, self.U.detach().cpu().numpy())

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) float32 vectors ``Fi @ V``; a view of the parameter with indicators alone."""
        return _combine(self.item_features, self.V.detach().cpu().numpy())

    def item_biases(self) -> NDArray[np.float32]:
        """(I,) float32 biases ``Fi @ b``."""
        return _combine(self.item_features, self.b.detach().cpu().numpy())

    def block_scorer(self) -> BlockScorer:
        """Return a scorer of blocks of users: one matrix product a block."""
        users_Ud = self.user_vectors()
        if self.item_bias:  # a constant 1 beside every user vector brings the bias in for free
            items_Id = np.concatenate([self.item_vectors(), self.item_biases()[:, None]], axis=1)
            ones = np.ones((self.n_users, 1), np.float32)
            users_Ud = np.concatenate([users_Ud, ones], axis=1)
        else:
            items_Id = self.item_vectors()
        items_dI = np.ascontiguousarray(items_Id.T)

        def score(users_B: NDArray[np.integer]) -> NDArray[np.float32]:
            return np.asarray(users_Ud[users_B] @ items_dI, np.float32)

        return score


class _Bags:
    """Sums of feature vectors for batches of rows; a lookup where each row is its own feature."""

    def __init__(self, features: Features) -> None:
        self._identity = features.is_identity
        self._features = features
        self._on: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}

    def sum(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Weighted sum of `weights` over the features of each row: shape (*rows.shape, d)."""
        if self._identity:
            return nn.functional.embedding(rows, weights)
        positions, values, offsets = self._entries(rows)
        sums = nn.functional.embedding_bag(
            positions, weights, offsets, mode="sum", per_sample_weights=values
        )
        return sums.view(*rows.shape, weights.shape[1])

    def _entries(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        indptr, indices, values = self._arrays(rows.device)
        flat = rows.reshape(-1)
        starts = indptr[flat]
        counts = indptr[flat + 1] - starts
        ends = counts.cumsum(0)
        offsets = ends - counts
        total = int(ends[-1]) if len(ends) else 0
        within = torch.arange(total, device=rows.device) - offsets.repeat_interleave(
            counts, output_size=total
        )
        entries = starts.repeat_interleave(counts, output_size=total) + within
        return indices[entries], values[entries], offsets

    def _arrays(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        if device not in self._on:
            features = self._features
            self._on[device] = (
                torch.from_numpy(features.indptr.copy()).to(device),
                torch.from_numpy(features.indices.astype(np.int64)).to(device),
                torch.from_numpy(features.values.copy()).to(device),
            )
        return self._on[device]


def _combine(features: Features, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    if features.is_identity:
        return weights
    matrix: sp.csr_matrix = features.to_csr()
    return np.asarray(matrix @ weights, np.float32)
