"""Drawing negative items on the model's device, without loops and without rejected draws.

A uniform negative is drawn by its place among the items that are *not* the user's: with the
user's positives sorted, ``positives[j] - j`` is the number of non-positives before the j-th, so
one `searchsorted` over all users' values turns a place into the item there. Every draw is valid,
whatever share of the catalogue a user knows.
"""

import numpy as np
import torch
from torch import Generator, Tensor

from hbpr.data.interactions import UserItems
from hbpr.settings.models import NegativeSettings


class NegativeSampler:
    """Draw items for users: from all they do not know, from what they disliked, or from both.

    Args:
        settings: What to draw from.
        positives: Items that are never drawn for their user.
        observed: Items that the user saw and did not like. A user without any draws from all.
        device: Where the draws are made.
    """

    def __init__(
        self,
        settings: NegativeSettings,
        positives: UserItems,
        observed: UserItems,
        device: torch.device,
    ) -> None:
        self._settings = settings
        self._n_items = positives.n_items
        users = positives.users().astype(np.int64)
        place = np.arange(positives.n_pairs) - positives.indptr[users]
        before = users * positives.n_items + positives.items - place
        self._before = torch.from_numpy(before).to(device)
        self._indptr = torch.from_numpy(positives.indptr.copy()).to(device)
        self._free = positives.n_items - self._indptr.diff()
        self._observed = torch.from_numpy(observed.items.astype(np.int64)).to(device)
        self._observed_indptr = torch.from_numpy(observed.indptr.copy()).to(device)

    def draw(self, users: Tensor, generator: Generator) -> Tensor:
        """Draw one item for each user.

        Args:
            users: User indices of any shape; each must have an item that is not a positive.
            generator: Source of randomness, on the sampler's device.

        Returns:
            int64 item indices with the shape of `users`.
        """
        flat = users.reshape(-1)
        kind = self._settings.kind
        if kind == "uniform":
            return self._uniform(flat, generator).view(users.shape)
        starts = self._observed_indptr[flat]
        counts = self._observed_indptr[flat + 1] - starts
        from_observed = counts > 0
        if kind == "mixed":
            coins = torch.rand(len(flat), generator=generator, device=flat.device)
            from_observed &= coins < self._settings.observed
        items = self._uniform(flat, generator)
        if len(self._observed):
            picks = starts + _integers(counts.clamp(min=1), generator)
            picks.clamp_(max=len(self._observed) - 1)  # of users without any, and not used
            items = torch.where(from_observed, self._observed[picks], items)
        return items.view(users.shape)

    def _uniform(self, users: Tensor, generator: Generator) -> Tensor:
        place = _integers(self._free[users], generator)
        found = torch.searchsorted(self._before, users * self._n_items + place, right=True)
        return place + found - self._indptr[users]


def _integers(below: Tensor, generator: Generator) -> Tensor:
    """One uniform integer from 0 to below - 1 for each entry."""
    draws = torch.rand(below.shape, generator=generator, device=below.device, dtype=torch.float64)
    return (draws * below).to(torch.int64)
