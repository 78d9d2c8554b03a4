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
from numpy.typing import NDArray
from torch import Generator, Tensor

from hbpr.data.interactions import UserItems
from hbpr.errors import DivergedError, EngineError
from hbpr.models import FeatureRecommender
from hbpr.settings.models import (
    AdaptiveNegatives,
    MixedNegatives,
    NegativeSettings,
    ObservedNegatives,
    PopularityNegatives,
    UniformNegatives,
)

_DRAWN: Final = (
    UniformNegatives,
    PopularityNegatives,
    ObservedNegatives,
    MixedNegatives,
    AdaptiveNegatives,
)
#: Draws from a pool that may hit a known positive before the uniform draw takes over.
_TRIES: Final = 16


class NegativeSampler:
    """Draw items for users from the pool that the settings name.

    Args:
        settings: What to draw from.
        positives: Items that are never drawn for their user.
        observed: Items that the user saw and did not like. A user without any draws from all.
        device: Where the draws are made.
        trainable: (I,) items that may be drawn; None: all. Draws are places among them.

    Raises:
        EngineError: The kind has settings, and nothing here draws it.
    """

    def __init__(
        self,
        settings: NegativeSettings,
        positives: UserItems,
        observed: UserItems,
        device: torch.device,
        *,
        trainable: NDArray[np.bool_] | None = None,
    ) -> None:
        if not isinstance(settings, _DRAWN):
            raise EngineError(
                f"training.negatives.kind: nothing draws kind {settings.kind}; use "
                f"{', '.join(each.model_fields['kind'].default for each in _DRAWN)}"
            )
        self._settings = settings
        met = np.arange(positives.n_items) if trainable is None else np.flatnonzero(trainable)
        self._catalogue = torch.from_numpy(met).to(device)
        self._n_places = len(met)
        users = positives.users().astype(np.int64)
        nth = np.arange(positives.n_pairs) - positives.indptr[users]
        keys = users * len(met) + np.searchsorted(met, positives.items)
        self._keys = torch.from_numpy(keys).to(device)
        self._before = torch.from_numpy(keys - nth).to(device)
        self._indptr = torch.from_numpy(positives.indptr.copy()).to(device)
        self._free = len(met) - self._indptr.diff()
        self._observed = torch.from_numpy(observed.items.astype(np.int64)).to(device)
        self._observed_indptr = torch.from_numpy(observed.indptr.copy()).to(device)
        weights = np.zeros(0)
        if isinstance(settings, PopularityNegatives):
            counts = np.bincount(positives.items, minlength=positives.n_items)[met]
            weights = counts.astype(np.float64) ** settings.alpha
        self._popularity = torch.from_numpy(np.cumsum(weights)).to(device)
        self._ranked = torch.zeros((0, 0), dtype=torch.int64, device=device)
        self._affinity = torch.zeros((0, 0), device=device)

    def follow(self, model: FeatureRecommender) -> None:
        """Bring adaptive draws up to the model, once an epoch; other kinds need nothing.

        Source:
            Rendle & Freudenthaler, "Improving pairwise learning for item recommendation from
            implicit feedback", WSDM 2014.
        """
        if not isinstance(self._settings, AdaptiveNegatives):
            return
        with torch.no_grad():
            items, _ = model.embed_items(self._catalogue)
            users = model.embed_users(torch.arange(len(self._free), device=items.device))
            self._ranked = items.argsort(0, descending=True)
            self._affinity = users * items.std(0, correction=0)
            if not bool(self._affinity.isfinite().all()):
                raise DivergedError("a vector became NaN or infinite")

    def draw(self, users: Tensor, generator: Generator) -> Tensor:
        """Draw one item for each user.

        Args:
            users: User indices of any shape; each must have an item that is not a positive.
            generator: Source of randomness, on the sampler's device.

        Returns:
            int64 item indices with the shape of `users`.
        """
        flat = users.reshape(-1)
        places = self._uniform(flat, generator)
        if isinstance(self._settings, PopularityNegatives | AdaptiveNegatives):
            places = self._from_pool_or(places, flat, generator)
        items = self._catalogue[places]
        if isinstance(self._settings, ObservedNegatives | MixedNegatives):
            items = self._observed_or(items, flat, generator)
        return items.view(users.shape)

    def _uniform(self, users: Tensor, generator: Generator) -> Tensor:
        nth = _integers(self._free[users], generator)
        found = torch.searchsorted(self._before, users * self._n_places + nth, right=True)
        return nth + found - self._indptr[users]

    def _observed_or(self, items: Tensor, users: Tensor, generator: Generator) -> Tensor:
        starts = self._observed_indptr[users]
        counts = self._observed_indptr[users + 1] - starts
        chosen = counts > 0
        if isinstance(self._settings, MixedNegatives):
            chosen &= _unit(users, generator) < self._settings.observed
        if len(self._observed) == 0:
            return items
        picks = starts + _integers(counts.clamp(min=1), generator)
        picks.clamp_(max=len(self._observed) - 1)  # of users without any, and not used
        return torch.where(chosen, self._observed[picks], items)

    def _from_pool_or(self, places: Tensor, users: Tensor, generator: Generator) -> Tensor:
        missing = torch.arange(len(users), device=users.device)
        for _ in range(_TRIES):
            of = users[missing]
            if isinstance(self._settings, AdaptiveNegatives):
                drawn = self._by_rank(of, self._settings.adaptive_share, generator)
            else:
                drawn = self._by_popularity(of, generator)
            keys = of * self._n_places + drawn
            found = torch.searchsorted(self._keys, keys).clamp(max=len(self._keys) - 1)
            valid = self._keys[found] != keys
            places[missing[valid]] = drawn[valid]
            missing = missing[~valid]
            if len(missing) == 0:
                break
        return places

    def _by_popularity(self, users: Tensor, generator: Generator) -> Tensor:
        draws = _unit(users, generator) * self._popularity[-1]
        found = torch.searchsorted(self._popularity, draws, right=True)
        return found.clamp(max=self._n_places - 1)

    def _by_rank(self, users: Tensor, share: float, generator: Generator) -> Tensor:
        affinity = self._affinity[users]
        weights = affinity.abs() + 1e-12  # a user whose vector is still zero draws any factor
        factors = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        mean_rank = max(1.0, share * self._n_places)
        decay = float(np.log1p(-1.0 / (1.0 + mean_rank)))
        ranks = (torch.log1p(-_unit(users, generator)) / decay).long() % self._n_places
        negative = affinity.gather(1, factors.unsqueeze(1)).squeeze(1) < 0.0
        return self._ranked[torch.where(negative, self._n_places - 1 - ranks, ranks), factors]


def _unit(like: Tensor, generator: Generator) -> Tensor:
    """One uniform number from 0 (included) to 1 for each entry."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float64)


def _integers(below: Tensor, generator: Generator) -> Tensor:
    """One uniform integer from 0 to below - 1 for each entry."""
    return (_unit(below, generator) * below).to(torch.int64)
