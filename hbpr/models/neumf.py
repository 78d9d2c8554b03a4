"""Neural matrix factorization: inner products and a small network, joined into one raw logit.

Shapes: B users in a batch, N items each, U users, I items, P user features, Q item features,
d size of the GMF tower's vectors, m of the MLP tower's, h width of the first hidden layer.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from hbpr.data.interactions import Features
from hbpr.models.base import FeatureRecommender, VectorScorer

#: Pairs of user and item that the network scores at a time: bounds the memory of `vector_scorer`
#: (2 MiB a layer of width 128 on a CPU), whatever the number of items.
_TILE: Final = {"cpu": 2**12, "cuda": 2**18}


class NeuMF(FeatureRecommender):
    """Score ``g · (u_gmf * i_gmf) + f · MLP([u_mlp; i_mlp]) + bias(i)``, a raw logit.

    Each user and item has a vector for the GMF tower and one for the MLP tower, both sums of the
    vectors of its features; one parameter holds both side by side. The first hidden layer is
    linear in ``[u_mlp; i_mlp]``, so it is computed as a user part plus an item part, and N items
    of a user share the former. There is no sigmoid: every loss that takes scores fits.

    With ``g = 1`` at the start, the GMF tower begins as `MatrixFactorization`; the output weights
    ``g`` and ``f`` are learned. L2 of the optimizer settings acts on the vectors, not on layers.

    Args:
        user_features: (U, P) features of the users.
        item_features: (I, Q) features of the items.
        n_latent: Size of the GMF tower's vectors, d; 0 leaves the tower out.
        n_latent_mlp: Size of the MLP tower's vectors, m.
        hidden: Widths of the hidden layers; none leaves the MLP tower out.
        dropout: Share of the activations of every hidden layer dropped in training.
        item_bias: Learn a bias for every item feature.
        init_std: Deviation of the first vectors, divided by the square root of their size. Layers
            start as He et al., ICCV 2015 advise for rectifiers.
        seed: Seed of the first weights.

    Source:
        He et al., "Neural collaborative filtering", WWW 2017, section 3.4. There: no item bias, a
        sigmoid at the end, and one loss.
    """

    def __init__(  # noqa: PLR0913 - a public constructor, a setting each
        self,
        user_features: Features,
        item_features: Features,
        *,
        n_latent: int = 64,
        n_latent_mlp: int = 32,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        item_bias: bool = True,
        init_std: float = 0.1,
        seed: int = 0,
    ) -> None:
        sizes = [size for size in (n_latent, n_latent_mlp if hidden else 0) if size]
        rng = np.random.default_rng(seed)

        def normal(std: float, *shape: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32) * np.float32(std))

        def towers(n_rows: int) -> Tensor:
            parts = [normal(init_std / np.sqrt(size), n_rows, size) for size in sizes]
            return torch.cat(parts, dim=1)

        super().__init__(
            user_features,
            item_features,
            towers(user_features.n_features),
            towers(item_features.n_features),
            item_bias=item_bias,
        )
        self.n_latent = n_latent
        self.n_latent_mlp = n_latent_mlp if hidden else 0
        self.hidden = tuple(hidden)
        self.g = nn.Parameter(torch.ones(n_latent))
        self.dropout = nn.Dropout(dropout)
        if self.hidden:
            m, h = self.n_latent_mlp, self.hidden[0]
            first_std = np.sqrt(1.0 / m)  # He: 2 / inputs, and 2 m come in
            self.first_user = nn.Parameter(normal(first_std, h, m))
            self.first_item = nn.Parameter(normal(first_std, h, m))
            self.first_bias = nn.Parameter(torch.zeros(h))
            shapes = [(n_out, n_in) for n_in, n_out in pairwise(self.hidden)]
            self.weights = nn.ParameterList(
                normal(np.sqrt(2.0 / n_in), n_out, n_in) for n_out, n_in in shapes
            )
            self.biases = nn.ParameterList(torch.zeros(n_out) for n_out, _ in shapes)
            self.f = nn.Parameter(normal(np.sqrt(1.0 / self.hidden[-1]), self.hidden[-1]))

    def score(self, users: Tensor, items: Tensor, biases: Tensor | None) -> Tensor:
        """Logits (...,) of vectors (..., d + m) of users and items; shapes broadcast."""
        d = self.n_latent
        scores = (users[..., :d] * self.g * items[..., :d]).sum(-1)
        if self.hidden:
            user_part = users[..., d:] @ self.first_user.T
            item_part = items[..., d:] @ self.first_item.T + self.first_bias
            scores = scores + self._network(user_part + item_part)
        return scores if biases is None else scores + biases

    def _network(self, first: Tensor) -> Tensor:
        """(...,) outputs for (..., h) sums into the first hidden layer."""
        active: Tensor = self.dropout(relu(first))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            active = self.dropout(relu(linear(active, weight, bias)))
        return active @ self.f

    def vector_scorer(self) -> VectorScorer:
        """Return a scorer of blocks of user vectors.

        The item parts of the first layer are computed here, once. The network then runs over
        tiles of pairs, without gradients and without dropout, in memory that no catalogue and no
        block makes larger.
        """
        d, device = self.n_latent, self.U.device
        tile = _TILE.get(device.type, _TILE["cpu"])
        with torch.no_grad():
            items = torch.from_numpy(self.item_vectors()).to(device)
            biases_I = torch.from_numpy(self.item_biases()).to(device, copy=True)
            gmf_dI = (items[:, :d] * self.g).T.contiguous()
            item_parts = items[:, d:] @ self.first_item.T + self.first_bias if self.hidden else None

        @torch.no_grad()
        def score(users_Bp: NDArray[np.float32]) -> NDArray[np.float32]:
            users = torch.from_numpy(np.ascontiguousarray(users_Bp)).to(device)
            scores = torch.addmm(biases_I, users[:, :d], gmf_dI)
            if item_parts is not None:
                user_parts = users[:, d:] @ self.first_user.T
                rows = max(1, tile // len(item_parts))
                for u in range(0, len(users), rows):
                    for i in range(0, len(item_parts), tile):
                        pairs = user_parts[u : u + rows, None] + item_parts[i : i + tile]
                        scores[u : u + rows, i : i + tile] += self._forward_only(pairs)
            return scores.cpu().numpy()

        return score

    def _forward_only(self, first: Tensor) -> Tensor:
        """`_network` without dropout, in place."""
        active = first.relu_()
        for weight, bias in zip(self.weights, self.biases, strict=True):
            active = linear(active, weight, bias).relu_()
        return active @ self.f
