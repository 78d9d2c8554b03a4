"""Drawing negative items on the model's device, without loops over users.

A uniform negative is drawn by its place among the items that are *not* the user's: with the
user's positives sorted, ``positives[j] - j`` is the number of non-positives before the j-th, so
one `searchsorted` over all users' values turns a place into the item there. Every such draw is
valid, whatever share of the catalogue a user knows. Other pools may hit a positive; those draws
are repeated a few times, and what is left then is drawn uniformly.
"""

from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor

from hbpr.data.interactions import UserItems
from hbpr.models import Recommender
from hbpr.settings.models import NegativeSettings

#: Draws from a pool that may hit a known positive before the uniform draw takes over.
_TRIES: Final = 4


class NegativeSampler:
    """Draw items for users from the pool that the settings name.

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
        keys = users * positives.n_items + positives.items
        self._keys = torch.from_numpy(keys).to(device)
        self._before = torch.from_numpy(keys - place).to(device)
        self._indptr = torch.from_numpy(positives.indptr.copy()).to(device)
        self._free = positives.n_items - self._indptr.diff()
        self._observed = torch.from_numpy(observed.items.astype(np.int64)).to(device)
        self._observed_indptr = torch.from_numpy(observed.indptr.copy()).to(device)
        counts = np.bincount(positives.items, minlength=positives.n_items).astype(np.float64)
        self._popularity = torch.from_numpy(np.cumsum(counts**settings.alpha)).to(device)
        self._ranked = torch.zeros((0, 0), dtype=torch.int64, device=device)
        self._affinity = torch.zeros((0, 0), device=device)

    def follow(self, model: Recommender) -> None:
        """Bring adaptive draws up to the model, once an epoch; other kinds need nothing.

        Source:
            Rendle & Freudenthaler, "Improving pairwise learning for item recommendation from
            implicit feedback", WSDM 2014.
        """
        if self._settings.kind != "adaptive":
            return
        with torch.no_grad():
            device = self._indptr.device
            items, _ = model.embed_items(torch.arange(self._n_items, device=device))
            users = model.embed_users(torch.arange(len(self._free), device=device))
            self._ranked = items.argsort(0, descending=True)
            self._affinity = users * items.std(0, correction=0)

    def draw(self, users: Tensor, generator: Generator) -> Tensor:
        """Draw one item for each user.

        Args:
            users: User indices of any shape; each must have an item that is not a positive.
            generator: Source of randomness, on the sampler's device.

        Returns:
            int64 item indices with the shape of `users`.
        """
        flat = users.reshape(-1)
        items = self._uniform(flat, generator)
        match self._settings.kind:
            case "observed" | "mixed":
                items = self._observed_or(items, flat, generator)
            case "popularity" | "adaptive":
                items = self._from_pool_or(items, flat, generator)
        return items.view(users.shape)

    def _uniform(self, users: Tensor, generator: Generator) -> Tensor:
        place = _integers(self._free[users], generator)
        found = torch.searchsorted(self._before, users * self._n_items + place, right=True)
        return place + found - self._indptr[users]

    def _observed_or(self, items: Tensor, users: Tensor, generator: Generator) -> Tensor:
        starts = self._observed_indptr[users]
        counts = self._observed_indptr[users + 1] - starts
        chosen = counts > 0
        if self._settings.kind == "mixed":
            chosen &= _unit(users, generator) < self._settings.observed
        if len(self._observed) == 0:
            return items
        picks = starts + _integers(counts.clamp(min=1), generator)
        picks.clamp_(max=len(self._observed) - 1)  # of users without any, and not used
        return torch.where(chosen, self._observed[picks], items)

    def _from_pool_or(self, items: Tensor, users: Tensor, generator: Generator) -> Tensor:
        missing = torch.ones_like(users, dtype=torch.bool)
        for _ in range(_TRIES):
            if self._settings.kind == "popularity":
                drawn = self._by_popularity(users, generator)
            else:
                drawn = self._by_rank(users, generator)
            keys = users * self._n_items + drawn
            found = torch.searchsorted(self._keys, keys).clamp(max=len(self._keys) - 1)
            valid = missing & (self._keys[found] != keys)
            items = torch.where(valid, drawn, items)
            missing &= ~valid
        return items

    def _by_popularity(self, users: Tensor, generator: Generator) -> Tensor:
        draws = _unit(users, generator) * self._popularity[-1]
        found = torch.searchsorted(self._popularity, draws, right=True)
        return found.clamp(max=self._n_items - 1)

    def _by_rank(self, users: Tensor, generator: Generator) -> Tensor:
        affinity = self._affinity[users]
        weights = affinity.abs() + 1e-12  # a user whose vector is still zero draws any factor
        factors = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        mean_rank = max(1.0, self._settings.adaptive_share * self._n_items)
        decay = float(np.log1p(-1.0 / (1.0 + mean_rank)))
        ranks = (torch.log1p(-_unit(users, generator)) / decay).long() % self._n_items
        negative = affinity.gather(1, factors.unsqueeze(1)).squeeze(1) < 0.0
        return self._ranked[torch.where(negative, self._n_items - 1 - ranks, ranks), factors]


def _unit(like: Tensor, generator: Generator) -> Tensor:
    """One uniform number from 0 (included) to 1 for each entry."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float64)


def _integers(below: Tensor, generator: Generator) -> Tensor:
    """One uniform integer from 0 to below - 1 for each entry."""
    return (_unit(below, generator) * below).to(torch.int64)
