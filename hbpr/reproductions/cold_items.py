"""The split, the lists and the features of hybrid-bpr's cold-start comparison."""

import dataclasses
from typing import Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.data.parts import draw_outside

#: New films: their share of all films, and the share of the rarest that they are drawn from.
_NEW: Final = 0.2
_POOL: Final = 0.25


def hold_out_rare(data: Interactions, *, seed: int) -> Interactions:
    """Part a dataset anew, so that rare items are new: nothing of them is trained on.

    A fifth of the items is test, drawn from the rarest quarter. Validation is made of the other
    three quarters by the same rule, so no item is validation for one seed and test for another.
    Held-out items are not drawn as negatives either; with `Interactions.refit_on_validation`
    those of validation may be trained on.

    Args:
        data: A split dataset; its parts are put together again.
        seed: Of the draws from the rarest quarters.

    Source:
        ``UserItemData.split_train_test_cold`` in https://github.com/NatLabRockies/hybrid-bpr,
        which takes the rarest fifth itself and has no validation part.
    """
    positives = data.train.union(data.validation).union(data.test)
    negatives = data.train_negatives.union(data.validation_negatives).union(data.test_negatives)
    group = _new_items(positives, negatives, np.random.default_rng([seed, 0]))
    train, validation, test = (positives.select(group[positives.items] == k) for k in range(3))
    others = [negatives.select(group[negatives.items] == k) for k in range(3)]
    return dataclasses.replace(
        data,
        train=train,
        validation=validation,
        test=test,
        train_negatives=others[0],
        validation_negatives=others[1],
        test_negatives=others[2],
        trainable_items=group == 0,
        split=f"{_NEW:.0%} of the items new, drawn from the rarest {_POOL:.0%}, seed {seed}",
    )


def _new_items(
    positives: UserItems, negatives: UserItems, rng: np.random.Generator
) -> NDArray[np.int8]:
    """(I,) part of each item: 0 train, 1 validation, 2 test; without a positive it is trained."""
    known = np.bincount(
        np.concatenate([positives.items, negatives.items]), minlength=positives.n_items
    )
    left = np.unique(positives.items)
    ties = np.random.default_rng(0).random(len(left))  # of all seeds: the pools never mix
    left = left[np.lexsort((ties, known[left]))]
    group = np.zeros(positives.n_items, np.int8)
    for part in (2, 1):
        pool, left, n = _rarest(left)
        group[rng.permutation(pool)[:n]] = part
    return group


def _rarest(items: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    """Return the rarest of items in rising order, the others, and how many are drawn."""
    n = max(1, round(_POOL * len(items)))
    return items[:n], items[n:], max(1, round(_NEW * len(items)))


def list_candidates(data: Interactions, *, seed: int) -> Interactions:
    """Return the data with a list of candidates for each user, in validation and in test.

    A user's held-out positives are ranked among the held-out items that the user rated low; where
    these are fewer than the positives, items that the user did not rate, drawn at random, make up
    the number. They are drawn from the new items of the part, or, where no item is new, from all.

    Args:
        data: A split dataset.
        seed: Of the drawing.

    Source:
        ``RecommendationSystem.evaluate`` of the same repository, with its ``neg_ratio`` of 1. It
        draws anew at every evaluation, and in the warm split also low ratings of training.
    """
    known = data.train
    for rated in (
        data.validation,
        data.test,
        data.train_negatives,
        data.validation_negatives,
        data.test_negatives,
    ):
        known = known.union(rated)
    rng = np.random.default_rng([seed, 1])
    lists = [
        _filled(held_out, low, known, _listable(data, held_out, low), rng)
        for held_out, low in (
            (data.validation, data.validation_negatives),
            (data.test, data.test_negatives),
        )
    ]
    return dataclasses.replace(
        data,
        validation_candidates=lists[0],
        test_candidates=lists[1],
        split=f"{data.split}; candidates: rated low, filled up at random to as many as positives",
    )


def all_listable(data: Interactions) -> UserItems | None:
    """Every item that a test list of `list_candidates` could hold; None: the whole catalogue."""
    if data.trainable_items is None:
        return None
    items = _listable(data, data.test, data.test_negatives)
    indptr = np.arange(data.n_users + 1, dtype=np.int64) * len(items)
    return UserItems(indptr, np.tile(items, data.n_users), data.n_items)


def _listable(data: Interactions, held_out: UserItems, low: UserItems) -> NDArray[np.int32]:
    if data.trainable_items is None:
        return np.arange(data.n_items, dtype=np.int32)
    return np.unique(np.concatenate([held_out.items, low.items]))


def _filled(
    held_out: UserItems,
    low: UserItems,
    known: UserItems,
    items: NDArray[np.int32],
    rng: np.random.Generator,
) -> UserItems:
    inside = known.select(np.isin(known.items, items))
    places = np.searchsorted(items, inside.items).astype(np.int32)
    missing = np.maximum(held_out.counts - low.counts, 0)
    drawn = draw_outside(UserItems(inside.indptr, places, len(items)), missing, rng)
    return low.union(UserItems(drawn.indptr, items[drawn.items], low.n_items))


def add_item_labels(data: Interactions, labels: "pd.Series[str]") -> Interactions:
    """Return the data with more item features, each of weight 1.

    Args:
        data: Its `item_features` are kept.
        labels: Labels by item id, several or none for an item; other ids are left out.
    """
    labels = labels[labels.index.isin(data.item_ids)]
    rows = pd.Index(data.item_ids).get_indexer(labels.index)
    columns, names = pd.factorize(labels, sort=True)
    more = sp.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, columns)), shape=(data.n_items, len(names))
    )
    return dataclasses.replace(
        data,
        item_features=Features.from_csr(sp.hstack([data.item_features.to_csr(), more])),
        item_feature_names=(*data.item_feature_names, *map(str, names)),
    )


def title_labels(items: pd.DataFrame) -> "pd.Series[str]":
    """What the titles of MovieLens say, by item id: the year, and whether there is a second title.

    A second title in brackets, such as ``(Cité des enfants perdus, La)``, is mostly the original
    one of a film in another language.

    Args:
        items: Columns item, title and year of `MovieLensTables`.
    """
    dated = items[items["year"].notna()].set_index("item")
    second = items[items["title"].str.contains(r"\(.*\(")].set_index("item")
    years = "year=" + dated["year"].astype(int).astype(str)
    return pd.concat([years, pd.Series("second title", index=second.index)])
