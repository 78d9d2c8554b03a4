"""Users and items that training never met, through the recommender's own door."""

import numpy as np
import pandas as pd
import pytest
import torch

from hbpr import RecommendationSystem, UserItemData
from hbpr.errors import ConfigError, DataError
from hbpr.inference.cold_start import features_of
from hbpr.models import build_model
from hbpr.settings.models import SplitSettings, TrialSettings

KINDS = ["mf", "neumf"]


def make_system(kind="mf", *, features=True, name=str):
    rng = np.random.default_rng(0)
    network = {"n_latent_mlp": 3, "hidden": [5]} if kind == "neumf" else {}
    settings = TrialSettings.model_validate(
        {"model": {"kind": kind, "n_latent": 4, "init_std": 1.0, **network}}
    )
    data = UserItemData(name="small")
    users, items = [name(u) for u in range(20)], [name(10 * i) for i in range(15)]
    pairs = rng.random((20, 15)) < 0.3
    pairs[:, 0] = pairs[0] = True
    u, i = np.nonzero(pairs)
    data.add_positive_interactions([users[x] for x in u], [items[x] for x in i])
    if features:
        data.add_item_features(items, items)
        data.add_item_features(items, [f"genre={n % 4}" for n in range(15)])
        data.add_user_features(users, [f"group={n % 3}" for n in range(20)])
    whole = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    model = build_model(settings.model, whole, seed=0)
    with torch.no_grad():
        model.b.copy_(torch.from_numpy(rng.normal(size=len(model.b)).astype(np.float32)))
    return RecommendationSystem(model, whole, settings, {"val/ndcg_at_10": 0.25})


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_user_gets_the_list_of_one_described_alike(kind):
    system = make_system(kind)
    table = system.recommend_for_features(["group=1"], k=6)
    like = system.recommend(["4"], k=6, exclude_seen=False).drop(columns="user")
    pd.testing.assert_frame_equal(table, like)
    doubled = system.recommend_for_features({"group=1": 2.0}, k=6)
    assert not np.array_equal(doubled["score"], table["score"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_item_scores_like_its_features(kind):
    system = make_system(kind)
    wider = system.with_items({"new": ["genre=2"], "newer": ["genre=2", "20"]})
    assert wider.data.n_items == 17
    assert system.data.n_items == 15
    users = wider.data.user_ids
    # Genre and indicator of item 20 (index 2): the same item again.
    np.testing.assert_allclose(
        wider.predict(users, ["newer"] * 20), system.predict(users, ["20"] * 20), rtol=1e-6
    )
    old = system.data.item_ids
    for user in users[:3]:
        np.testing.assert_array_equal(
            wider.predict([user] * 15, old), system.predict([user] * 15, old)
        )
    assert "new" in set(wider.recommend(k=17)["item"])
    assert wider.similar_items(["newer"], k=1)["similar_item"].tolist() == ["20"]
    assert not wider.data.trainable_items[-2:].any()
    assert wider.data.pages is None
    assert wider.data.trainable_items[:15].all()
    assert wider.evaluate("val", top_k=[3]).keys() == system.evaluate("val", top_k=[3]).keys()


def test_new_items_are_saved_with_the_system(tmp_path):
    wider = make_system(name=int).with_items({999: ["genre=2"]})
    wider.save(tmp_path / "system")
    loaded = RecommendationSystem.load(tmp_path / "system")
    assert loaded.data.item_ids.dtype == np.int64
    pd.testing.assert_frame_equal(loaded.recommend(k=16), wider.recommend(k=16))
    assert loaded.with_items({}).data.n_items == 16


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_leads_to_items_near_it(kind):
    system = make_system(kind, features=False)
    table = system.recommend_for_history(["30", "70", "30"], k=15)
    assert list(table.columns) == ["item", "score", "rank"]
    assert len(table) == 13
    assert not {"30", "70"} & set(table["item"])
    assert table["rank"].tolist() == list(range(1, 14))
    everything = system.recommend_for_history(["30", "70"], k=15, exclude_seen=False)
    assert len(everything) == 15
    before = system.model.item_biases() if kind == "mf" else None
    again = system.recommend_for_history(["70", "30"], k=15)
    pd.testing.assert_frame_equal(again, table)
    if before is not None:  # the history ranks higher than by bias alone
        by_bias = system.data.item_ids[np.argsort(-before)].tolist()
        by_fit = everything["item"].tolist()
        assert sum(map(by_fit.index, ["30", "70"])) < sum(map(by_bias.index, ["30", "70"]))


def test_features_are_where_a_history_starts_from():
    system = make_system()
    table = system.recommend_for_history(["30"], k=5, user_features=["group=1"])
    assert not np.allclose(table["score"], system.recommend_for_history(["30"], k=5)["score"])


def test_what_is_wrong_is_said():
    system, nameless = make_system(), make_system(features=False)
    with pytest.raises(DataError, match=r"'group=7' is not a feature .* did you mean 'group="):
        system.recommend_for_features(["group=7"])
    with pytest.raises(DataError, match="must be a list of names, got 'group=1'"):
        system.recommend_for_features("group=1")
    with pytest.raises(DataError, match="at least one feature is needed"):
        system.recommend_for_features([])
    with pytest.raises(DataError, match="trained without named features"):
        nameless.recommend_for_features(["group=1"])
    with pytest.raises(DataError, match="weight of 'group=1' must be finite, got nan"):
        system.recommend_for_features({"group=1": float("nan")})
    with pytest.raises(ConfigError, match="k must be at least 1"):
        system.recommend_for_features(["group=1"], k=0)
    with pytest.raises(DataError, match="at least one item is needed"):
        system.recommend_for_history([])
    with pytest.raises(DataError, match="1 of 2 item ids"):
        system.recommend_for_history(["10", "x"])
    with pytest.raises(DataError, match="item '20' is in the data already"):
        system.with_items({"20": ["genre=1"]})
    with pytest.raises(DataError, match="ids must be of the type"):
        system.with_items({7: ["genre=1"]})


def test_described_rows_are_sorted_and_weighted():
    found = features_of("x", [["c", "a", "c"], {"b": 0.5}], ["a", "b", "c"])
    np.testing.assert_array_equal(found.to_csr().toarray(), [[1, 0, 1], [0, 0.5, 0]])
    assert found.indices.tolist() == [0, 2, 1]
