"""A model loaded to recommend with, against the system that was saved."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hbpr.data import UserItemData
from hbpr.errors import ConfigError, DataError
from hbpr.inference import load
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions, Someone
from hbpr.inference.system import RecommendationSystem
from hbpr.models import SolvedRecommender, build_model
from hbpr.settings.models import (
    EaseSettings,
    IalsSettings,
    MfSettings,
    NeuMFSettings,
    SplitSettings,
    TrialSettings,
)

MODELS = {
    "dot": MfSettings(n_latent=8, init_std=1.0),
    "no bias": MfSettings(n_latent=8, init_std=1.0, item_bias=False),
    "warm": MfSettings(n_latent=8, init_std=1.0, temperature=3.0),
    "cosine": MfSettings(n_latent=8, init_std=1.0, similarity="cosine"),
    "ease": EaseSettings(regularisation=5.0),
    "ials": IalsSettings(n_latent=4),
    "network": NeuMFSettings(n_latent=4, n_latent_mlp=4, hidden=(6,), init_std=1.0),
}
ITEMS = [10 * i for i in range(15)]


def make_system(model: str = "dot", *, features: bool = True) -> RecommendationSystem:
    rng = np.random.default_rng(0)
    data = UserItemData("toy")
    users, items = np.nonzero(rng.random((20, 15)) < 0.5)
    data.add_positive_interactions(users, 10 * items)
    data.add_negative_interactions(users[:9], 10 * ((items[:9] + 1) % 15))
    data.add_item_names(ITEMS, [f"Item {i}" for i in ITEMS])
    if features:
        data.add_item_features(ITEMS, ITEMS)
        data.add_item_features(ITEMS, [f"genre {i % 4}" for i in range(15)])
        data.add_user_features(range(20), range(20))
        data.add_user_features(range(20), [f"age {u % 3}" for u in range(20)])
    interactions = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    settings = TrialSettings(model=MODELS[model])
    made = build_model(settings.model, interactions, seed=0)
    if isinstance(made, SolvedRecommender):
        for _ in range(3):
            made.solve()
    elif settings.model.item_bias:
        bias = np.random.default_rng(1).normal(size=len(made.b)).astype(np.float32)
        made.b.data.copy_(made.b.data.new_tensor(bias))
    return RecommendationSystem(made, interactions, settings, {"val/auc": 0.5})


@pytest.fixture(scope="module", params=sorted(MODELS))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RecommendationSystem, LoadedModel]:
    system = make_system(request.param)
    folder = tmp_path_factory.mktemp("model") / "model"
    system.save(folder)
    return system, load(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("model") / "model"
    make_system().save(folder)
    return load(folder)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found[expected.columns], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_are_the_systems(pair, exclude_seen: bool) -> None:
    system, model = pair
    for users in (None, [3, 7, 3]):
        found = model.recommend(users, k=6, exclude_seen=exclude_seen)
        same(found, system.recommend(users, k=6, exclude_seen=exclude_seen))
        assert found["item_name"].tolist() == [f"Item {i}" for i in found["item"]]


def test_new_users_and_neighbours_are_the_systems(pair) -> None:
    system, model = pair
    if system.model.uses_features:
        same(
            model.recommend_for_features(["age 1"], k=4),
            system.recommend_for_features(["age 1"], k=4),
        )
    else:
        with pytest.raises(DataError, match="by the items of that user alone; give a history"):
            model.recommend_for_features(["age 1"])
        with pytest.raises(DataError, match="by the items of that user alone; give a history"):
            model.recommend_for_history([10], user_features=["age 1"])
    for features in (None, ["age 2"]) if system.model.uses_features else (None,):
        found, expected = (
            each.recommend_for_history([0, 30, 70], k=4, user_features=features)
            for each in (model, system)
        )
        assert found["item"].tolist() == expected["item"].tolist()
        np.testing.assert_allclose(found["score"], expected["score"], rtol=0.02, atol=0.02)
    same(model.similar_items([30], k=5), system.similar_items([30], k=5))
    same(
        model.similar_items(k=3, popularity_discount=0.4),
        system.similar_items(k=3, popularity_discount=0.4),
    )


def test_similar_users_are_the_nearest_by_cosine(pair) -> None:
    system, model = pair
    vectors = np.asarray(system.model.user_vectors(), np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = model.similar_users([4], k=3)
    expected = np.argsort(-(unit @ unit[4]))[1:4]
    assert found["similar_user"].tolist() == expected.tolist()
    assert list(found.columns) == ["user", "similar_user", "score", "rank"]


def test_ids_are_found_by_their_text(model: LoadedModel) -> None:
    same(model.recommend(["3", 7], k=2), model.recommend([3, 7], k=2))
    with pytest.raises(DataError, match=r"recommend: unknown user 'x', '99': not among the 20"):
        model.recommend(["x", 99, 1])
    with pytest.raises(DataError, match="expected a list of user ids, got 'anna'"):
        model.recommend("anna")


def test_float_ids_are_found_by_whole_numbers() -> None:
    from hbpr.inference.text_ids import TextIds

    ids = TextIds("user", np.array([1.0, 2.5]))
    assert [ids.row(each) for each in (1, "1", 1.0, 2.5, "2.5", 2)] == [0, 0, 0, 1, 1, None]


def test_only_allowed_items_are_listed(model: LoadedModel) -> None:
    def listed(**options: object) -> set[int]:
        return set(model.recommend([3], k=15, exclude_seen=False, **options)["item"])

    assert listed(allow_items=["10", 20, 30]) == {10, 20, 30}
    assert listed(allow_items=[10, 20], deny_items=[10, "never heard of"]) == {20}
    assert listed(deny_items=[0]) == set(ITEMS) - {0}
    assert listed(item_features=["genre 1"]) == {10, 50, 90, 130}
    assert listed(item_features=["genre 1", "genre 2"], allow_items=[10, 20, 30]) == {10, 20}
    assert listed(allow_items=[]) == set()
    with pytest.raises(DataError, match="allow_items: unknown item '5'"):
        listed(allow_items=[5])
    with pytest.raises(DataError, match=r"'genre 9' is not a feature .* did you mean 'genre"):
        listed(item_features=["genre 9"])


def test_filters_leave_the_order_as_it_is(model: LoadedModel) -> None:
    whole = model.recommend(k=15, exclude_seen=False)
    some = model.recommend(k=15, exclude_seen=False, deny_items=[0, 10])
    kept = whole[~whole["item"].isin([0, 10])]
    assert kept["item"].tolist() == some["item"].tolist()


def test_diversity_puts_unlike_items_together(model: LoadedModel) -> None:
    def likeness(diversity: float) -> float:
        vectors = model.form.item_vectors()
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        total = 0.0
        for _, group in model.recommend(k=5, diversity=diversity).groupby("user"):
            rows = group["item"].to_numpy() // 10
            total += float((unit[rows] @ unit[rows].T).sum())
        return total

    plain = model.recommend(k=5)
    same(model.recommend(k=5, diversity=1e-9), plain)
    assert likeness(0.9) < likeness(0.5) < likeness(0.0)
    first = plain[plain["rank"] == 1]["item"].tolist()
    diverse = model.recommend(k=5, diversity=0.9)
    assert diverse[diverse["rank"] == 1]["item"].tolist() == first
    assert (diverse.groupby("user")["item"].nunique() == diverse.groupby("user").size()).all()


def test_diversity_is_maximal_marginal_relevance(model: LoadedModel) -> None:
    """Against the definition, item by item."""
    vectors = model.form.item_vectors()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pool = model.recommend([3], k=15)
    rows, scores = pool["item"].to_numpy() // 10, pool["score"].to_numpy()
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    chosen = [0]
    while len(chosen) < 5:
        gains = {
            j: 0.6 * relevance[j] - 0.4 * max(unit[rows[j]] @ unit[rows[c]] for c in chosen)
            for j in range(len(rows))
            if j not in chosen
        }
        chosen.append(max(gains, key=gains.__getitem__))
    found = model.recommend([3], k=5, diversity=0.4)
    assert found["item"].tolist() == (10 * rows[chosen]).tolist()


def test_popular_items_can_be_discounted(model: LoadedModel) -> None:
    plain = model.recommend([3], k=15).set_index("item")["score"]
    less = model.recommend([3], k=15, popularity_discount=2.0).set_index("item")["score"]
    spread = model.form.score_users(np.array([3])).std()
    for item, score in plain.items():
        assert less[item] == pytest.approx(
            score - 2.0 * spread * model.popularity[item // 10], abs=1e-4
        )
    assert model.popularity.max() == 1.0


def test_history_of_a_user_is_what_was_liked(model: LoadedModel) -> None:
    chosen = model.history(3)
    assert sorted(chosen.tolist()) == model.liked.of(3).tolist()


@pytest.mark.parametrize(
    ("someone", "told"),
    [
        (Someone(), "named by id, history or features; none was given"),
        (Someone(user=1, history=[10]), "not by both"),
        (Someone(user="nobody"), "unknown user 'nobody'"),
        (Someone(history=[10, 11]), "history: unknown item '11'"),
        (Someone(history=[]), "at least one item is needed"),
        (Someone(features=["ages 1"]), "did you mean 'age 1'"),
        (Someone(features=[]), "at least one feature is needed"),
    ],
)
def test_who_is_not_named_well_is_told(model: LoadedModel, someone: Someone, told: str) -> None:
    with pytest.raises(DataError, match=told):
        model.list_for(someone, ListOptions())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"diversity": 1.5}, "diversity must be from 0 to 1, got 1.5"),
        ({"diversity": float("nan")}, "diversity must be from 0 to 1"),
        ({"popularity_discount": -1.0}, "must be at least 0 and finite, got -1.0"),
    ],
)
def test_options_have_ranges(model: LoadedModel, options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        model.recommend([1], **options)


@pytest.mark.parametrize("kind", ["cosine", "dot", "ease", "ials"])
def test_vectors_and_weights_need_neither_torch_nor_pandas(tmp_path: Path, kind: str) -> None:
    make_system(kind, features=False).save(tmp_path / "model")
    program = (
        "import sys; from hbpr.inference import load; from hbpr.inference.options import *\n"
        "import numpy as np\n"
        "m = load(sys.argv[1]); m.lists(np.arange(3), ListOptions(k=3))\n"
        "print([each for each in ('torch', 'pandas', 'numba', 'mlflow') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "model"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_study_or_its_model_or_a_missing_folder(tmp_path: Path) -> None:
    make_system().save(tmp_path / "study" / "model")
    (tmp_path / "study" / "journal.log").touch()
    assert load(tmp_path / "study").version == load(str(tmp_path / "study" / "model")).version
    (tmp_path / "study" / "model").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="no model yet"):
        load(tmp_path / "study")
    with pytest.raises(ConfigError, match=r"there is no folder .* models:/NAME@champion"):
        load(tmp_path / "none")
    with pytest.raises(DataError, match="no saved recommender here"):
        load(tmp_path)
