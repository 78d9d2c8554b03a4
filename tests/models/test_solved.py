"""What every model that is solved for does as part of a recommender."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hbpr.data import UserItemData
from hbpr.errors import DataError
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import SplitSettings, TrialSettings
from hbpr.training import Trainer

KINDS = ["ease", "ials"]


def trained(kind, *, features=False):
    rng = np.random.default_rng(0)
    users, items = np.nonzero((np.indices((30, 20)).sum(0) % 2 == 0) & (rng.random((30, 20)) < 0.8))
    data = UserItemData("camps")  # even users like even items, odd users odd ones
    data.add_positive_interactions([f"u{u}" for u in users], items)
    if features:
        data.add_item_features(np.arange(20), [f"genre {i % 3}" for i in range(20)])
        data.add_user_features([f"u{u}" for u in range(30)], [f"age {u % 4}" for u in range(30)])
    training = {"top_k": [5], "monitor": "val/ndcg_at_5"}
    settings = TrialSettings.model_validate({"model": {"kind": kind}, "training": training})
    interactions = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    trainer = Trainer(interactions, settings)
    reports = list(trainer)
    return RecommendationSystem(trainer.best_model(), interactions, settings), reports


@pytest.fixture(scope="module", params=KINDS, name="system")
def _system(request):
    return trained(request.param)[0]


def test_each_camp_gets_its_own_items(system):
    table = system.recommend(["u0", "u1"], k=2)
    assert [item % 2 for item in table["item"]] == [0, 0, 1, 1]


def test_comes_back_from_a_folder(system, tmp_path):
    system.save(tmp_path / "saved")
    again = RecommendationSystem.load(tmp_path / "saved")
    assert again.settings == system.settings
    pd.testing.assert_frame_equal(again.recommend(k=4), system.recommend(k=4))
    pd.testing.assert_frame_equal(again.similar_items(k=4), system.similar_items(k=4))


def test_pairs_score_as_lists_do(system):
    table = system.recommend(["u3"], k=5, exclude_seen=False)
    scores = system.predict(["u3"] * 5, table["item"])
    np.testing.assert_allclose(scores, table["score"], atol=1e-5)


def test_a_history_is_scored_like_a_user_who_has_it(system):
    history = system.data.item_ids[system.data.train.of(0)]
    found = system.recommend_for_history(history, k=5, exclude_seen=False)
    known = system.recommend(["u0"], k=5, exclude_seen=False)
    assert set(found["item"]) == set(known["item"])


def test_neighbours_are_of_the_same_camp(system):
    table = system.similar_items([4, 7], k=3)
    assert [item % 2 for item in table["similar_item"]] == [0, 0, 0, 1, 1, 1]
    assert table["score"].between(-1.0 - 1e-6, 1.0 + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_refused_where_they_would_be_needed(kind):
    system, _ = trained(kind, features=True)
    with pytest.raises(DataError, match=f"model.kind {kind} scores items by who chose them"):
        system.with_items({99: ["genre 1"]})
    with pytest.raises(DataError, match="knows a user by the items of that user alone"):
        system.recommend_for_features(["age 1"])


@pytest.mark.parametrize("kind", KINDS)
def test_is_evaluated_after_every_pass(kind):
    _, reports = trained(kind)
    assert all(report.metrics for report in reports)
    assert all(np.isfinite(report.loss) for report in reports)
    assert (len(reports) == 1) == (kind == "ease")


def test_ease_neighbours_are_partial_correlations():
    system, _ = trained("ease")
    x = np.zeros((30, 20))
    train = system.data.train
    x[train.users(), train.items] = 1.0
    precision = np.linalg.inv(x.T @ x + 500.0 * np.eye(20))
    scale = np.sqrt(np.diag(precision))
    expected = -precision / np.outer(scale, scale)
    found = system.model.neighbour_scorer()(np.arange(20))
    off = ~np.eye(20, dtype=bool)
    np.testing.assert_allclose(found[off], expected[off], atol=1e-4)


def test_too_many_items_for_ease_is_said_before_anything_is_solved():
    system, _ = trained("ease")
    small = system.settings.model.model_copy(update={"memory_mib": 1})
    wide = dataclasses.replace(system.data.train, n_items=1000)
    data = dataclasses.replace(system.data, train=wide)
    with pytest.raises(DataError, match=r"EASE needs 15 MiB for 1,000 items.*memory_mib allows 1;"):
        build_model(small, data)
