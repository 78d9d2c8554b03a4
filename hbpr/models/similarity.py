"""What becomes of a sum of feature vectors before scores are taken: nothing, or its direction."""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbpr.data.interactions import Features, Interactions
from hbpr.errors import DataError

Similarity = Literal["dot", "cosine"]

#: Temperatures of cosine scores where none is named: bounds and slope, see `temperature_for`.
_LOWEST: Final = 0.05
_HIGHEST: Final = 0.2
_PER_SHARE: Final = 4.0


def temperature_for(data: Interactions) -> float:
    """Return a temperature of cosines that fits the data, see decision 0026.

    It rises with the share of the users who share a positive, see `popularity_of_positives`: where
    a few items please many, sharp differences between tastes are noise.
    """
    return float(np.clip(_PER_SHARE * popularity_of_positives(data), _LOWEST, _HIGHEST))


def popularity_of_positives(data: Interactions) -> float:
    """Share of the users who have the item of a training positive, on average over positives.

    Unlike the density it does not fall when a catalogue grows by items that hardly anybody takes.
    """
    counts = np.bincount(data.train.items).astype(np.float64)
    n_users = int((data.train.counts > 0).sum())
    return float((counts**2).sum() / max(1.0, counts.sum() * n_users))


def unit_rows(vectors: Tensor) -> Tensor:
    """Divide vectors (..., d) by their lengths; a zero vector has no direction and stays zero."""
    lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(lengths > 0, lengths, 1.0)


def on_array(
    transform: Callable[[Tensor], Tensor], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Apply a transform of tensors to an array, without gradients."""
    with torch.no_grad():
        return np.asarray(transform(torch.from_numpy(np.ascontiguousarray(vectors))).numpy())


def check_directions(data: Interactions) -> None:
    """Refuse users or items that no feature gives a direction to.

    Raises:
        DataError: A row of the features is all zero.
    """
    sides = (("user", data.user_features, data.user_ids), ("item", data.item_features, None))
    for side, features, ids in sides:
        empty = _without_features(features)
        if len(empty):
            first = (data.item_ids if ids is None else ids)[empty[0]]
            raise DataError(
                f"model.similarity: cosine needs a direction for every {side}, and {len(empty)} of "
                f"{features.n_rows} {side}s of {data.name} have no feature, such as {first!s}; "
                f"set data.{side}_feature to both or indicator, or model.similarity to dot"
            )


def unmet(features: Features, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n_features,) whether none of the chosen rows has the feature."""
    met = np.zeros(features.n_features, bool)
    met[features.indices[np.repeat(rows, np.diff(features.indptr))]] = True
    return ~met


def _without_features(features: Features) -> NDArray[np.int64]:
    rows = np.repeat(np.arange(features.n_rows), np.diff(features.indptr))
    counts = np.bincount(rows[features.values != 0.0], minlength=features.n_rows)
    return np.flatnonzero(counts == 0)
