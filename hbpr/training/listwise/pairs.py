"""What a block is made of: its users' training pairs, and the items drawn for it.

Shapes: B users of a block, I items that training meets, N items drawn.
"""

from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbpr.data.interactions import Interactions, UserItems
from hbpr.settings.models import SharedNegatives
from hbpr.training.listwise.block import Places
from hbpr.training.listwise.side import expand


class TrainingPairs:
    """Pairs of users and items on a device, items as places among those that training meets."""

    def __init__(self, indptr: Tensor, items: Tensor, weights: Tensor) -> None:
        self._indptr = indptr
        self._items = items
        self._weights = weights

    @classmethod
    def positives(cls, data: Interactions, observed: float, device: torch.device) -> Self:
        """Positives of the training part; those with weights count by weight / mean weight.

        Args:
            data: See `ListwiseEngine`.
            observed: What an observed negative counts as a positive; 0: it is none.
            device: Where the pairs lie.
        """
        weights = np.ones(data.train.n_pairs, np.float32)
        if data.train.weights is not None:
            weights = data.train.weights / data.train.weights.mean(dtype=np.float64)
        pairs = replace(data.train, weights=weights)
        if observed:
            seen = data.train_negatives
            own = np.full(seen.n_pairs, observed, np.float32)
            pairs = pairs.union(replace(seen, weights=own))
        return cls._of(data, pairs, device)

    @classmethod
    def observed(cls, data: Interactions, weight: float, device: torch.device) -> Self:
        """Observed negatives, each counted so often; none where that is once, as any other item."""
        pairs = data.train_negatives
        if weight == 1.0:
            pairs = UserItems.empty(data.n_users, data.n_items)
        weights = np.full(pairs.n_pairs, weight, np.float32)
        return cls._of(data, replace(pairs, weights=weights), device)

    @classmethod
    def _of(cls, data: Interactions, pairs: UserItems, device: torch.device) -> Self:
        items = pairs.items.astype(np.int64)
        if data.trainable_items is not None:
            items = (np.cumsum(data.trainable_items) - 1)[items]
        weights = np.zeros(0, np.float32) if pairs.weights is None else pairs.weights
        return cls(
            torch.from_numpy(pairs.indptr.copy()).to(device),
            torch.from_numpy(items).to(device),
            torch.from_numpy(weights.astype(np.float32)).to(device),
        )

    def of_users(self, users_B: Tensor) -> Places:
        """Pairs of a block's users, in their order."""
        of, entries = expand(self._indptr, users_B)
        return Places(of, self._items[entries], self._weights[entries])


def chances(data: Interactions, alpha: float) -> NDArray[np.float64]:
    """(I,) chance of each item in one draw: in proportion to its training positives^alpha."""
    counts = np.bincount(data.train.items, minlength=data.n_items).astype(np.float64)
    if data.trainable_items is not None:
        counts = counts[data.trainable_items]
    weights = np.maximum(counts, 1.0) ** alpha  # what nobody chose must be met too
    return np.asarray(weights / weights.sum())


def draw(
    rng: np.random.Generator, cumulated: NDArray[np.float64], settings: SharedNegatives
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Draw the items of a block.

    All items alike are drawn without repeats, others with: an item drawn m times among N draws of
    chance q stands for m / (N q) items. Sums over the sample are then right on average.

    Args:
        rng: Source of all randomness.
        cumulated: (I,) sums of the `chances`.
        settings: How many, and by what.

    Returns:
        The distinct places drawn, rising, and for how many items each stands.
    """
    n_items, n = len(cumulated), settings.n_items
    if n >= n_items:
        return np.arange(n_items), np.ones(n_items, np.float32)
    if settings.alpha == 0.0:
        drawn = np.sort(rng.choice(n_items, n, replace=False, shuffle=False))
        return drawn, np.full(n, n_items / n, np.float32)
    found = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
    drawn, times = np.unique(np.minimum(found, n_items - 1), return_counts=True)
    before = np.where(drawn > 0, cumulated[drawn - 1], 0.0)
    chance = (cumulated[drawn] - before) / cumulated[-1]
    return drawn, (times / (n * chance)).astype(np.float32)
