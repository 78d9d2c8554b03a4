"""Candidates `unseen`: observed negatives of earlier parts are not ranked."""

import numpy as np

from hbpr.baselines import Popularity
from hbpr.data import load_data
from hbpr.evaluation import evaluate_part
from hbpr.inference.packing import pack, unpack
from hbpr.settings.models import DataSettings, SyntheticSettings


def _data(candidates):
    return load_data(
        DataSettings(
            source="synthetic",
            candidates=candidates,
            synthetic=SyntheticSettings(n_users=60, n_items=40, n_shown=20),
        )
    )


def _count(data, part):
    found = evaluate_part(Popularity(data.train), data, part, (5,))
    return dict(zip(found.ranks.users.tolist(), found.ranks.n_candidates.tolist(), strict=True))


def test_earlier_negatives_are_no_candidates():
    every, unseen = _data("all"), _data("unseen")
    assert unseen.split == f"{every.split}; candidates: unseen"
    assert unseen.fingerprint != every.fingerprint
    val, test = _count(every, "val"), _count(every, "test")
    in_train, in_validation = unseen.train_negatives.counts, unseen.validation_negatives.counts
    assert in_train.any()
    assert _count(unseen, "val") == {u: n - in_train[u] for u, n in val.items()}
    expected = {u: n - in_train[u] - in_validation[u] for u, n in test.items()}
    assert _count(unseen, "test") == expected


def test_the_refit_and_a_saved_model_keep_them():
    unseen = _data("unseen")
    refitted = unseen.refit_on_validation()
    assert _count(refitted, "test") == _count(unseen, "test")
    arrays, about = pack(unseen)
    assert unpack(arrays, about).fingerprint == unseen.fingerprint
    del about["unseen"]  # as saved before
    assert not unpack(arrays, about).unseen


def test_without_observed_negatives_it_is_all():
    every, unseen = _data("all"), _data("unseen")
    np.testing.assert_array_equal(every.train.items, unseen.train.items)
    assert every.no_candidates("val").n_pairs == every.train.n_pairs
    assert (
        unseen.no_candidates("val").n_pairs == unseen.train.n_pairs + unseen.train_negatives.n_pairs
    )
