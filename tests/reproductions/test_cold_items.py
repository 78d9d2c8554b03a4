"""The rarest items leave training as a whole."""

import numpy as np

from hbpr.data import generate
from hbpr.data.interactions import Interactions
from hbpr.reproductions.cold_items import hold_out_rarest, keep_item_features
from hbpr.settings.models import SplitSettings, SyntheticSettings


def split() -> Interactions:
    data = generate(SyntheticSettings(n_users=60, n_items=40, n_shown=20), item_feature="both").data
    return data.to_interactions(SplitSettings())


def test_what_is_known_of_the_rarest_items_is_held_out() -> None:
    data = split()
    cold = hold_out_rarest(data, share=0.25, seed=3)
    everything = data.train.union(data.validation).union(data.test)
    assert cold.train.union(cold.validation).union(cold.test).n_pairs == everything.n_pairs
    parts = (
        (cold.train, cold.train_negatives),
        (cold.validation, cold.validation_negatives),
        (cold.test, cold.test_negatives),
    )
    items = [set(np.r_[pairs.items, others.items].tolist()) for pairs, others in parts]
    assert not items[0] & items[1]
    assert not items[0] & items[2]
    assert not items[1] & items[2]
    assert len(items[1] | items[2]) == 10
    known = np.bincount(
        np.concatenate([each.items for part in parts for each in part]), minlength=40
    )
    assert known[list(items[1] | items[2])].max() <= known[list(items[0])].min()
    assert hold_out_rarest(data, share=0.25, seed=3).fingerprint == cold.fingerprint
    assert hold_out_rarest(data, share=0.25, seed=4).fingerprint != cold.fingerprint


def test_item_features_are_kept_by_the_beginning_of_their_names() -> None:
    data = split()
    name = data.item_feature_names[-1]
    kept = keep_item_features(data, name)
    assert kept.item_feature_names == (name,)
    expected = data.item_features.to_csr()[:, [len(data.item_feature_names) - 1]]
    assert (kept.item_features.to_csr() != expected).nnz == 0
    assert kept.fingerprint != data.fingerprint
