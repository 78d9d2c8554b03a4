"""Hybrid matrix factorization: users and items are sums of the vectors of their features.

Shapes: B users in a batch, U users, I items, P user features, Q item features, d latent size.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbpr.data.interactions import Features
from hbpr.models.base import FeatureRecommender, PairScorer, VectorScorer
from hbpr.models.gathered import L2, GatheredScores
from hbpr.models.pairs import inner_products
from hbpr.models.similarity import Similarity, on_array, unit_rows


class MatrixFactorization(FeatureRecommender):
    """Score ``(Fu[u] @ U) · (Fi[i] @ V) / temperature + Fi[i] @ b``, features `Fu`, `Fi` sparse.

    With `similarity` ``cosine`` both vectors are divided by their lengths. The vectors that the
    model hands out are the final ones: whoever scores takes inner products.

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
        similarity: ``dot``, or ``cosine``: lengths of vectors do not count.
        temperature: Divides the products, above 0; kept with the weights where it is not 1.
    """

    temperature: Tensor | None

    def __init__(
        self,
        user_features: Features,
        item_features: Features,
        *,
        n_latent: int = 64,
        item_bias: bool = True,
        init_std: float = 0.1,
        seed: int = 0,
        similarity: Similarity = "dot",
        temperature: float = 1.0,
    ) -> None:
        rng = np.random.default_rng(seed)
        scale = np.float32(init_std / np.sqrt(n_latent))

        def first(n_rows: int) -> Tensor:
            weights = rng.standard_normal((n_rows, n_latent), dtype=np.float32) * scale
            # torch's own memory begins where a cache line does; rows that straddle two cost a tenth
            return torch.from_numpy(weights).clone()

        super().__init__(
            user_features,
            item_features,
            first(user_features.n_features),
            first(item_features.n_features),
            item_bias=item_bias,
        )
        self.n_latent = n_latent
        self.similarity = similarity
        plain = similarity == "dot" and temperature == 1.0
        self.register_buffer("temperature", None if plain else torch.tensor(temperature))
        self.sparse_gradients = False  # an engine whose optimizer takes them may ask for them

    def final_users(self, sums: Tensor) -> Tensor:
        """Directions with the cosine, divided by the temperature."""
        vectors = unit_rows(sums) if self.similarity == "cosine" else sums
        return vectors if self.temperature is None else vectors / self.temperature

    def final_items(self, sums: Tensor) -> Tensor:
        """Directions with the cosine."""
        return unit_rows(sums) if self.similarity == "cosine" else sums

    def user_vectors(self, features: Features | None = None) -> NDArray[np.float32]:
        """(U, d) float32 final vectors, see `FeatureRecommender.user_vectors`."""
        sums = super().user_vectors(features)
        return sums if self.temperature is None else on_array(self.final_users, sums)

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) float32 final vectors, see `FeatureRecommender.item_vectors`."""
        sums = super().item_vectors()
        return sums if self.similarity == "dot" else on_array(self.final_items, sums)

    def score(self, users: Tensor, items: Tensor, biases: Tensor | None) -> Tensor:
        """Inner products, plus the biases."""
        scores = (users * items).sum(-1)
        return scores if biases is None else scores + biases

    def batch_scores(self, users_B: Tensor, items_BM: Tensor, l2: L2) -> Tensor:
        """Score a batch to learn from, on a CPU with indicators alone straight from the tables."""
        on_cpu = self.U.device.type == "cpu" and self.U.dtype == torch.float32
        own = self.user_features.is_identity and self.item_features.is_identity
        if not (on_cpu and own and self.temperature is None):
            return super().batch_scores(users_B, items_BM, l2)
        scores: Tensor = GatheredScores.apply(  # type: ignore[no-untyped-call]
            self.U, self.V, self.b, users_B, items_BM, l2, self.sparse_gradients
        )
        return scores

    def pair_scorer(self) -> PairScorer:
        """Return a scorer of single pairs, which costs nothing for the rest of the catalogue."""
        users_Ud = np.ascontiguousarray(self.user_vectors())
        items_Id = np.ascontiguousarray(self.item_vectors())
        biases_I = self.item_biases()

        def score(
            users_n: NDArray[np.integer], items_n: NDArray[np.integer]
        ) -> NDArray[np.float32]:
            return inner_products(users_Ud, items_Id, biases_I, users_n, items_n)

        return score

    def vector_scorer(self) -> VectorScorer:
        """Return a scorer of blocks of user vectors: one matrix product a block."""
        items_Id = self.item_vectors()
        if not self.item_bias:
            items_dI = np.ascontiguousarray(items_Id.T)
            return lambda users_Bd: np.asarray(users_Bd @ items_dI, np.float32)
        # A constant 1 beside every user vector brings the bias in for free.
        items_dI = np.ascontiguousarray(
            np.concatenate([items_Id, self.item_biases()[:, None]], axis=1).T
        )

        def score(users_Bd: NDArray[np.float32]) -> NDArray[np.float32]:
            ones_B1 = np.ones((len(users_Bd), 1), np.float32)
            return np.asarray(np.concatenate([users_Bd, ones_B1], axis=1) @ items_dI, np.float32)

        return score
