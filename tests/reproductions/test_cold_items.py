"""New films, the lists they are ranked in, and what their titles tell."""

import numpy as np
import pandas as pd
import pytest

from hbpr.data import generate
from hbpr.data.interactions import Interactions, UserItems
from hbpr.reproductions.cold_items import (
    add_item_labels,
    all_listable,
    hold_out_rare,
    list_candidates,
    title_labels,
)
from hbpr.settings.models import SplitSettings, SyntheticSettings


@pytest.fixture
def data() -> Interactions:
    shape = SyntheticSettings(n_users=60, n_items=80, n_shown=20)
    return generate(shape, item_feature="both").data.to_interactions(SplitSettings())


def _items(*parts: UserItems) -> set[int]:
    return set(np.concatenate([part.items for part in parts]).tolist())


def _parts(data: Interactions) -> list[set[int]]:
    return [
        _items(data.train, data.train_negatives),
        _items(data.validation, data.validation_negatives),
        _items(data.test, data.test_negatives),
    ]


def _everything(data: Interactions) -> tuple[UserItems, UserItems]:
    return (
        data.train.union(data.validation).union(data.test),
        data.train_negatives.union(data.validation_negatives).union(data.test_negatives),
    )


def test_nothing_is_trained_on_of_a_new_item(data: Interactions) -> None:
    cold = hold_out_rare(data, seed=3)
    before, after = _everything(data), _everything(cold)
    assert [each.n_pairs for each in after] == [each.n_pairs for each in before]
    train, validation, test = _parts(cold)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert cold.trainable_items is not None
    assert set(np.flatnonzero(~cold.trainable_items).tolist()) == validation | test
    learnt = cold.refit_on_validation().trainable_items
    assert learnt is not None
    assert set(np.flatnonzero(~learnt).tolist()) == test
    assert hold_out_rare(data, seed=3).fingerprint == cold.fingerprint


def test_new_items_are_a_fifth_drawn_from_the_rarest_quarter(data: Interactions) -> None:
    positives, negatives = _everything(data)
    known = np.bincount(np.concatenate([positives.items, negatives.items]), minlength=80)
    liked = np.unique(positives.items)
    most = np.sort(known[liked])[round(len(liked) / 4) - 1]
    tests, validations = set(), set()
    for seed in range(8):
        _, validation, test = _parts(hold_out_rare(data, seed=seed))
        assert len(test) == round(len(liked) / 5)
        assert known[list(test)].max() <= most
        assert known[list(validation)].min() >= most
        tests |= test
        validations |= validation
    assert len(tests) == round(len(liked) / 4)
    assert not tests & validations


@pytest.mark.parametrize("cold", [True, False])
def test_low_ratings_are_filled_up_to_as_many_as_the_positives(
    data: Interactions, cold: bool
) -> None:
    parted = hold_out_rare(data, seed=1) if cold else data
    listed = list_candidates(parted, seed=1)
    rated = parted.train.union(parted.train_negatives)
    for held_out, low in (
        (parted.validation, parted.validation_negatives),
        (parted.test, parted.test_negatives),
    ):
        rated = rated.union(held_out).union(low)
    assert listed.validation_candidates is not None
    assert listed.test_candidates is not None
    for held_out, low, found in (
        (parted.validation, parted.validation_negatives, listed.validation_candidates),
        (parted.test, parted.test_negatives, listed.test_candidates),
    ):
        wanted = np.maximum(held_out.counts, low.counts)
        if not cold:
            assert (found.counts == wanted).all()
        assert (found.counts <= wanted).all()
        assert found.contains(low).all()
        drawn = found.select(~low.contains(found))
        assert drawn.n_pairs > 0
        assert not rated.contains(drawn).any()
        if cold:
            assert _items(drawn) <= _items(held_out, low)
    everything = all_listable(parted)
    if cold:
        assert everything is not None
        assert everything.contains(listed.test_candidates).all()
    else:
        assert everything is None


def test_lists_are_drawn_from_the_seed(data: Interactions) -> None:
    prints = {list_candidates(data, seed=seed).fingerprint for seed in (1, 1, 2)}
    assert len(prints) == 2


def test_labels_become_features_of_their_items(data: Interactions) -> None:
    ids = data.item_ids
    labels = pd.Series(["old", "new", "old", "odd"], index=[ids[3], ids[5], ids[5], "unknown"])
    more = add_item_labels(data, labels)
    assert more.item_feature_names[-2:] == ("new", "old")
    n = data.item_features.n_features
    matrix = more.item_features.to_csr().toarray()
    assert (matrix[:, :n] == data.item_features.to_csr().toarray()).all()
    assert matrix[:, n:].sum() == 3
    assert matrix[3, n:].tolist() == [0, 1]
    assert matrix[5, n:].tolist() == [1, 1]


def test_titles_tell_the_year_and_a_second_title() -> None:
    items = pd.DataFrame(
        {
            "item": [7, 8, 9],
            "title": ["Heat (1995)", "City of Lost Children, The (Cité, La) (1995)", "Untold"],
            "year": pd.array([1995, 1995, None], dtype="Int64"),
        }
    )
    told = title_labels(items)
    assert sorted(zip(told.index, told, strict=True)) == [
        (7, "year=1995"),
        (8, "second title"),
        (8, "year=1995"),
    ]
