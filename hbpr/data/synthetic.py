"""Generated data with planted preferences, so that the best attainable ranking is known.

User u is shown item i with probability ``shown[i]``, independently for every pair, and chooses it
if ``z[u] @ q[i] + noise * e > threshold[u]`` with e standard normal: then it is a positive,
otherwise an observed negative. So ``shown[i] * Phi((z[u] @ q[i] - threshold[u]) / noise)`` is the
exact probability of a positive, and ranking by it has the highest expected NDCG of all rankings
that know the preferences.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hbpr.data.chosen_features import add_chosen_features
from hbpr.data.interactions import UserItems
from hbpr.data.user_item import UserItemData
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import SyntheticSettings

#: Number of genres of items and of groups of users, the metadata.
N_GENRES, N_GROUPS = 12, 8
#: Share of the factors' variance that genres and groups explain.
_EXPLAINED = 0.5
#: Popularity of the r-th item is proportional to ``r ** -_SKEW``.
_SKEW = 0.5
#: Rows generated at once; fixed, since it is part of what the seed means.
_BLOCK = 1 << 20
_THRESHOLD_MEAN, _THRESHOLD_STD = 0.8, 0.3


@dataclass(frozen=True)
class Synthetic:
    """A generated dataset and the truth behind it; ids are 0..n-1 and equal the indices.

    Attributes:
        data: Interactions and features.
        shown: What each user was shown, chosen or not.
        user_factors: (U, f) float32 planted preferences.
        item_factors: (I, f) float32 planted properties; a score has deviation near 1.
        thresholds: (U,) float32 score above which a user chooses an item.
        shown_probability: (I,) float64 probability that a user is shown the item.
        noise: Deviation of a choice's noise.
    """

    data: UserItemData
    shown: UserItems
    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    shown_probability: NDArray[np.float64]
    noise: float

    def oracle(self, known_negatives: UserItems | None = None) -> "Oracle":
        """Return the best scorer: evaluate it to learn the best attainable NDCG.

        Args:
            known_negatives: Observed negatives that training sees: a pair among them cannot be
                held out as a positive, so it goes to the end. None: know the preferences only.
        """
        return Oracle(self, known_negatives)


@dataclass(frozen=True)
class Oracle:
    """Ranks by the true probability of a positive."""

    truth: Synthetic
    known_negatives: UserItems | None = None

    def block_scorer(self) -> Callable[[NDArray[np.integer]], NDArray[np.float32]]:
        """Return a function from (B,) users to their (B, I) float32 probabilities."""
        return self._score

    def _score(self, users: NDArray[np.integer]) -> NDArray[np.float32]:
        truth = self.truth
        margin = truth.user_factors[users] @ truth.item_factors.T
        margin -= truth.thresholds[users, None]
        scores = (_choice_probability(margin, truth.noise) * truth.shown_probability).astype(
            np.float32
        )
        if self.known_negatives is not None:
            for row, user in enumerate(users):
                scores[row, self.known_negatives.of(int(user))] = 0.0
        return scores


def generate(
    settings: SyntheticSettings | None = None,
    *,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
) -> Synthetic:
    """Generate a dataset; time and memory grow with the number of shown pairs.

    Items have one or two of 12 genres, and users one of 8 groups; both explain half of the
    planted factors' variance, so metadata says something about users and items never seen.

    Args:
        settings: Shape, noise and seed; None: the defaults.
        item_feature: indicator, metadata (genres) or both.
        user_feature: indicator, metadata (group) or both.
    """
    settings = settings or SyntheticSettings()
    rng = np.random.default_rng(settings.seed)
    n_users, n_items = settings.n_users, settings.n_items
    groups = rng.integers(0, N_GROUPS, (n_users, 1))
    genres = rng.integers(0, N_GENRES, (n_items, 2))
    user_factors = _factors(rng, groups, N_GROUPS, settings.n_factors)
    item_factors = _factors(rng, genres, N_GENRES, settings.n_factors)
    item_factors /= np.float32(np.sqrt(settings.n_factors))
    thresholds = rng.normal(_THRESHOLD_MEAN, _THRESHOLD_STD, n_users).astype(np.float32)
    rates = _showing_rates(rng, n_items, settings.n_shown)
    shown = _show(rng, rates, n_users)
    chosen = _choose(rng, shown, user_factors, item_factors, thresholds, settings.noise)

    data = UserItemData(f"synthetic-{n_users}x{n_items}")
    users = shown.users()
    data.add_positive_interactions(users[chosen], shown.items[chosen])
    data.add_negative_interactions(users[~chosen], shown.items[~chosen])
    for add, choice, prefix, members in (
        (data.add_user_features, user_feature, "group", groups),
        (data.add_item_features, item_feature, "genre", genres),
    ):
        ids = np.arange(len(members))
        labels = np.array([f"{prefix}={k:02d}" for k in range(int(members.max()) + 1)], object)
        metadata = (np.repeat(ids, members.shape[1]), labels[members.ravel()])
        add_chosen_features(add, choice, ids, metadata)
    return Synthetic(
        data,
        shown,
        user_factors,
        item_factors,
        thresholds,
        -np.expm1(-rates),
        settings.noise,
    )


def _factors(
    rng: np.random.Generator, members: NDArray[np.int64], n_kinds: int, n_factors: int
) -> NDArray[np.float32]:
    """(n, f) factors of variance near 1: the mean of the kinds' centres, and an own part."""
    centres = rng.standard_normal((n_kinds, n_factors), np.float32)
    own = rng.standard_normal((len(members), n_factors), np.float32)
    distinct = 1 + (members.min(axis=1) != members.max(axis=1))
    shared = centres[members].mean(axis=1) * np.sqrt(distinct, dtype=np.float32)[:, None]
    mixed: NDArray[np.float32] = np.float32(np.sqrt(_EXPLAINED)) * shared
    mixed += np.float32(np.sqrt(1 - _EXPLAINED)) * own
    return mixed


def _showing_rates(rng: np.random.Generator, n_items: int, n_shown: int) -> NDArray[np.float64]:
    """(I,) Poisson rates r with ``sum(1 - exp(-r)) == n_shown``, at most 95 % of the catalogue."""
    popularity = rng.permutation(np.arange(1.0, n_items + 1) ** -_SKEW)
    popularity /= popularity.sum()
    target = min(float(n_shown), 0.95 * n_items)

    from scipy.optimize import brentq  # a quarter of a second, which every trial would pay

    def excess(scale: float) -> float:
        return float(-np.expm1(-scale * popularity).sum()) - target

    scale = brentq(excess, 0.0, 100.0 * n_items**1.5)
    return np.asarray(scale * popularity)


def _show(rng: np.random.Generator, rates: NDArray[np.float64], n_users: int) -> UserItems:
    """Show each user each item with probability ``1 - exp(-rate)``, all independent.

    Drawing a Poisson number of items with replacement and keeping the distinct ones does that in
    time that grows with what is shown, not with users times items.
    """
    cumulative = np.cumsum(rates)
    n_items = len(rates)
    block = max(1, int(_BLOCK / cumulative[-1]))
    indptr = np.zeros(n_users + 1, np.int64)
    items: list[NDArray[np.int32]] = []
    for start in range(0, n_users, block):
        draws = rng.poisson(cumulative[-1], min(block, n_users - start))
        drawn = np.searchsorted(cumulative, rng.random(draws.sum()) * cumulative[-1], "right")
        part = UserItems.from_pairs(
            np.repeat(np.arange(len(draws)), draws),
            np.minimum(drawn, n_items - 1),
            n_users=len(draws),
            n_items=n_items,
        )
        items.append(part.items)
        indptr[start + 1 : start + 1 + len(draws)] = indptr[start] + part.indptr[1:]
    return UserItems(indptr, np.concatenate(items), n_items)


def _choose(
    rng: np.random.Generator,
    shown: UserItems,
    user_factors: NDArray[np.float32],
    item_factors: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    noise: float,
) -> NDArray[np.bool_]:
    """(n_pairs,) whether each shown item was chosen."""
    chosen = np.empty(shown.n_pairs, bool)
    users = shown.users()
    for start in range(0, shown.n_pairs, _BLOCK):
        part = slice(start, start + _BLOCK)
        score = np.einsum("nf,nf->n", user_factors[users[part]], item_factors[shown.items[part]])
        score += np.float32(noise) * rng.standard_normal(len(score), np.float32)
        chosen[part] = score > thresholds[users[part]]
    return chosen


def _choice_probability(margin: NDArray[np.float32], noise: float) -> NDArray[np.float64]:
    if noise == 0.0:
        return (margin > 0.0).astype(np.float64)
    return np.asarray(ndtr(margin.astype(np.float64) / noise))
