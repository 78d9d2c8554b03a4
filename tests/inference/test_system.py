import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from hbpr.baselines import Popularity
from hbpr.data import UserItemData
from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError, DivergedError
from hbpr.evaluation import evaluate
from hbpr.evaluation.page_shares import share_of_page_neighbours, share_on_same_page
from hbpr.inference.folder import read_about, write_about
from hbpr.inference.system import RecommendationSystem
from hbpr.models import MatrixFactorization, build_model
from hbpr.settings.models import MfSettings, SplitSettings, TrialSettings

SETTINGS = TrialSettings(model=MfSettings(n_latent=8, init_std=1.0))


def make_system(seed=0, *, name=str, features=False, pages=False, n_users=20, n_items=15):
    rng = np.random.default_rng(seed)
    data = UserItemData("toy")
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    data.add_positive_interactions([name(u) for u in users], [name(i * 10) for i in items])
    if pages:
        users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
        data.add_pages([name(u) for u in users], [name(i * 10) for i in items], items % 3)
    if features:
        ids = [name(i * 10) for i in range(n_items)]
        data.add_item_features(ids, [f"genre {i % 4}" for i in range(n_items)])
        # Catalogued, described, never interacted with.
        data.add_item_features([name(990)], ["genre 1"])
    interactions = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    model = build_model(SETTINGS.model, interactions, seed=seed)
    with torch.no_grad():
        model.b.copy_(torch.from_numpy(rng.normal(size=len(model.b)).astype(np.float32)))
    return RecommendationSystem(model, interactions, SETTINGS, {"val/ndcg_at_10": 0.25})


def expected_list(system, user, k, *, exclude_seen=True):
    """One user's list by sorting everything."""
    scores = system.model.block_scorer()(np.array([user]))[0]
    items = range(system.data.n_items)
    if exclude_seen:
        seen = {*system.data.train.of(user), *system.data.validation.of(user)}
        items = [i for i in items if i not in seen]
    return sorted(items, key=lambda i: (-scores[i], i))[:k]


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("k", [1, 4, 15, 100])
def test_recommends_the_best_unseen_items(k, exclude_seen):
    system = make_system()
    table = system.recommend(k=k, exclude_seen=exclude_seen)
    assert list(table.columns) == ["user", "item", "score", "rank"]
    for user, group in table.groupby("user", sort=False):
        row = system.data.user_ids.tolist().index(user)
        expected = expected_list(system, row, k, exclude_seen=exclude_seen)
        assert group["item"].tolist() == system.data.item_ids[expected].tolist()
        assert group["rank"].tolist() == list(range(1, len(expected) + 1))
        assert group["score"].is_monotonic_decreasing
    assert table["user"].nunique() == system.data.n_users


def test_users_come_in_the_order_given():
    system = make_system(name=int)
    table = system.recommend([7, 3, 7], k=2)
    assert table["user"].tolist() == [7, 7, 3, 3, 7, 7]
    assert table["item"].tolist()[:2] == table["item"].tolist()[4:]
    assert len(system.recommend([])) == 0


def test_equal_scores_keep_catalogue_order():
    system = make_system(name=int)
    with torch.no_grad():
        for weights in (system.model.U, system.model.V, system.model.b):
            weights.zero_()
    table = system.recommend([0], k=5, exclude_seen=False)
    assert table["item"].tolist() == [0, 10, 20, 30, 40]


def test_many_blocks_equal_one(monkeypatch):
    system = make_system(n_users=200)
    whole = system.recommend(k=5)
    monkeypatch.setattr("hbpr.inference.top_k.rows_in_block", lambda n_items: 7)
    pd.testing.assert_frame_equal(system.recommend(k=5), whole, rtol=1e-5, atol=1e-6)


def test_unknown_ids_are_named():
    system = make_system()
    with pytest.raises(DataError, match=r"4 of 5 user ids .* 'x', 'y', 'z', \.\.\.; .* '0'"):
        system.recommend(["1", "x", "y", "z", "w"])
    with pytest.raises(DataError, match="1 of 1 item ids"):
        system.similar_items(["nothing"])
    with pytest.raises(DataError, match="list"):
        system.recommend("1")


def test_k_starts_at_1():
    with pytest.raises(ConfigError, match="k must be at least 1, got 0"):
        make_system().recommend(k=0)


def test_scores_that_are_not_finite_are_an_error():
    system = make_system()
    with torch.no_grad():
        system.model.U[3] = torch.nan
    with pytest.raises(DivergedError, match="NaN or infinite"):
        system.recommend()


def test_predict_gives_the_scores_of_the_lists():
    system = make_system()
    table = system.recommend(k=3)
    scores = system.predict(table["user"], table["item"])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, table["score"], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="2 users and 1 items"):
        system.predict(["1", "2"], ["10"])


def test_similar_items_are_the_nearest_by_cosine():
    system = make_system(name=int)
    table = system.similar_items([30, 140], k=4)
    assert list(table.columns) == ["item", "similar_item", "score", "rank"]
    vectors = system.model.item_vectors()
    for item, group in table.groupby("item"):
        row = item // 10
        cosine = (vectors @ vectors[row]) / np.linalg.norm(vectors, axis=1)
        cosine /= np.linalg.norm(vectors[row])
        others = [i for i in np.argsort(-cosine) if i != row][:4]
        assert group["similar_item"].tolist() == [i * 10 for i in others]
        np.testing.assert_allclose(group["score"], cosine[others], rtol=1e-5)
    assert len(system.similar_items(k=100)) == 15 * 14


def test_popular_items_can_be_discounted_as_neighbours():
    system = make_system(name=int)
    plain = system.similar_items([30], k=14).set_index("similar_item")["score"]
    less = system.similar_items([30], k=14, popularity_discount=0.5).set_index("similar_item")
    popularity = np.bincount(system.seen.items, minlength=15)
    for item, score in plain.items():
        loss = 0.5 * np.log1p(popularity[item // 10]) / np.log1p(popularity.max())
        assert less["score"][item] == pytest.approx(score - loss, abs=1e-6)
    assert (np.diff(less["score"]) <= 0).all()
    pd.testing.assert_frame_equal(
        system.similar_items(popularity_discount=0.0), system.similar_items()
    )
    with pytest.raises(ConfigError, match=r"popularity_discount: .* at least 0 .* got -1"):
        system.similar_items(popularity_discount=-1)


def test_page_shares_are_reported_where_the_data_have_pages():
    system = make_system(name=int, pages=True)
    data = system.data
    assert not any("page" in name for name in make_system(name=int).evaluate())
    found = system.evaluate("test", top_k=[2, 4])
    chosen = data.pages.chosen(data.train.union(data.validation).union(data.test))
    for k in (2, 4):
        table = system.similar_items(k=k) // 10
        pairs = table["item"].astype(int), table["similar_item"].astype(int)
        shown = data.pages.shown
        assert found[f"test/page_share_at_{k}"] == share_on_same_page(*pairs, shown=shown)
        assert found[f"test/mere_page_share_at_{k}"] == share_of_page_neighbours(
            *pairs, shown=shown, chosen=chosen
        )
    val = system.evaluate("val", top_k=[4])
    assert val["val/page_share_at_4"] == found["test/page_share_at_4"]


def test_pages_on_which_everything_was_chosen_tell_only_who_shared_one():
    data = UserItemData("sessions")
    data.add_positive_interactions([0, 0, 0, 0, 1, 1, 1, 1], [1, 2, 3, 4, 1, 2, 3, 5])
    data.add_pages([0, 0, 1, 1], [1, 2, 1, 2], [0, 0, 0, 0])
    made = data.to_interactions(SplitSettings(train=0.4, validation=0.3))
    system = RecommendationSystem(build_model(SETTINGS.model, made, seed=0), made, SETTINGS)
    pages = {name for name in system.evaluate(top_k=[1]) if "page" in name}
    assert pages == {"test/page_share_at_1"}


def test_cold_items_are_recommended_from_their_features():
    system = make_system(name=int, features=True)
    row = system.data.item_ids.tolist().index(990)
    assert row not in system.data.train.items
    table = system.recommend(k=100)
    assert (table["item"] == 990).sum() == system.data.n_users
    # Genre 1 alone describes it, beside items 10, 50, 90 and 130 of the same genre.
    similar = system.similar_items([990], k=4)
    assert set(similar["similar_item"]) == {10, 50, 90, 130}
    np.testing.assert_allclose(similar["score"], 1.0, rtol=1e-5)


def test_evaluates_test_without_what_was_known_before():
    system = make_system()
    data = system.data
    expected = evaluate(
        system.model,
        data.test,
        exclude=data.train.union(data.validation),
        top_k=(10, 20),
        part="test",
    )
    assert system.evaluate() == expected.metrics
    refitted = RecommendationSystem(system.model, data.refit_on_validation(), SETTINGS)
    assert refitted.evaluate() == expected.metrics
    assert "val/hr_at_3" in system.evaluate("val", top_k=[3])
    with pytest.raises(DataError, match="no user has an item held out"):
        refitted.evaluate("val")


@pytest.mark.parametrize("name", [int, str])
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("pages", [False, True])
def test_a_saved_system_recommends_the_same(tmp_path, name, features, pages):
    system = make_system(name=name, features=features, pages=pages)
    system.save(tmp_path / "system")
    loaded = RecommendationSystem.load(shutil.move(tmp_path / "system", tmp_path / "elsewhere"))
    pd.testing.assert_frame_equal(loaded.recommend(k=7), system.recommend(k=7))
    assert loaded.evaluate() == system.evaluate()
    assert loaded.metrics == system.metrics
    assert loaded.settings == system.settings
    assert loaded.data.fingerprint == system.data.fingerprint
    assert repr(loaded) == repr(system)
    assert "20 users" in repr(system)
    assert "val/ndcg_at_10 0.2500" in repr(system)


def test_saving_replaces_a_saved_system_and_nothing_else(tmp_path):
    folder = tmp_path / "system"
    make_system(0).save(folder)
    other = make_system(1)
    other.save(folder)
    pd.testing.assert_frame_equal(RecommendationSystem.load(folder).recommend(), other.recommend())
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="save needs a new folder"):
        other.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["system"]


def test_a_failed_save_leaves_the_old_system(tmp_path, monkeypatch):
    folder = tmp_path / "system"
    system = make_system(0)
    system.save(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        make_system(1).save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["system"]
    pd.testing.assert_frame_equal(RecommendationSystem.load(folder).recommend(), system.recommend())


def test_the_address_of_the_server_is_not_saved(tmp_path):
    system = make_system()
    secret = SETTINGS.model_copy(
        update={
            "mlflow": SETTINGS.mlflow.model_copy(
                update={"tracking_uri": "http://ann:secret@host", "experiment_name": "kept"}
            )
        }
    )
    RecommendationSystem(system.model, system.data, secret).save(tmp_path / "system")
    assert "secret" not in (tmp_path / "system" / "system.json").read_text()
    loaded = RecommendationSystem.load(tmp_path / "system")
    assert loaded.settings.mlflow.experiment_name == "kept"


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match=r"no saved recommender here, system\.json is missing"):
        RecommendationSystem.load(tmp_path)
    folder = tmp_path / "system"
    make_system().save(folder)
    about = read_about(folder)

    write_about(folder, about | {"format": 99})
    with pytest.raises(DataError, match="of formats 1 and 2, got 99"):
        RecommendationSystem.load(folder)

    write_about(folder, about | {"settings": {"modle": {}}})
    with pytest.raises(DataError, match=r"system: settings\.modle.*model"):
        RecommendationSystem.load(folder)


def test_saving_refuses_ids_that_would_need_a_pickle(tmp_path):
    system = make_system()
    ids = np.empty(20, dtype=object)
    ids[:] = [("store", u) for u in range(20)]
    data = dataclasses.replace(system.data, user_ids=ids)
    odd = RecommendationSystem(system.model, data, SETTINGS)
    assert odd.recommend([("store", 4)], k=1)["user"].tolist() == [("store", 4)]
    with pytest.raises(DataError, match=r"user ids must be .* got \('store', 0\)"):
        odd.save(tmp_path / "system")


def test_saving_refuses_settings_of_another_model(tmp_path):
    system = make_system()
    model = MatrixFactorization(system.data.user_features, system.data.item_features, n_latent=3)
    with pytest.raises(DataError, match="settings must describe the model"):
        RecommendationSystem(model, system.data, SETTINGS).save(tmp_path / "system")
    assert not (tmp_path / "system").exists()


def test_model_and_data_must_fit():
    with pytest.raises(DataError, match="20 users x 15 items, the data have 20 x 12"):
        RecommendationSystem(make_system().model, make_system(n_items=12).data, SETTINGS)


def test_popularity_is_evaluated_like_a_model():
    data = make_system().data
    nothing = UserItems.empty(data.n_users, data.n_items)
    result = evaluate(Popularity(data.train), data.train, exclude=nothing, top_k=(5,), part="val")
    assert result.metrics["val/auc"] > 0.5
