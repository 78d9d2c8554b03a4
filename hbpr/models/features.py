"""Sums of feature vectors: what turns sparse features and one vector a feature into embeddings."""

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbpr.data.interactions import Features


class FeatureSums:
    """Sums of feature vectors for batches of rows; a lookup where each row is its own feature.

    Args:
        features: Features of all users, or of all items.
    """

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


def combine(features: Features, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``features @ weights`` for all rows, float32; `weights` itself with indicators alone."""
    if features.is_identity:
        return weights
    matrix: sp.csr_matrix = features.to_csr()
    return np.asarray(matrix @ weights, np.float32)
