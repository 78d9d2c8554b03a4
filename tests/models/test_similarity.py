"""Cosine scores over a temperature: everything that scores gets final vectors."""

import dataclasses

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hbpr.data import load_data
from hbpr.data.interactions import Features, UserItems
from hbpr.errors import DataError
from hbpr.inference.fold_in import fold_in
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.models.similarity import popularity_of_positives, temperature_for, unit_rows
from hbpr.settings.models import DataSettings, MfSettings, SyntheticSettings, TrialSettings


def _data(features="both"):
    return load_data(
        DataSettings(
            source="synthetic",
            item_feature=features,
            user_feature=features,
            synthetic=SyntheticSettings(n_users=40, n_items=30, n_shown=15),
        )
    )


@pytest.fixture(name="data", scope="module")
def _one():
    return _data()


def _model(data, **settings):
    settings = {"n_latent": 6, "similarity": "cosine", "temperature": 0.25} | settings
    model = build_model(MfSettings(**settings), data, seed=2)
    with torch.no_grad():
        model.b.copy_(torch.linspace(-1, 1, len(model.b)))
    return model


@pytest.mark.parametrize("features", ["indicator", "both"])
def test_every_way_to_score_gives_the_formula(features):
    data = _data(features)
    model = _model(data)
    users = data.user_features.to_csr() @ model.U.detach().numpy()
    items = data.item_features.to_csr() @ model.V.detach().numpy()
    lengths = np.linalg.norm(users, axis=1)[:, None] * np.linalg.norm(items, axis=1)
    cosines = users @ items.T / np.maximum(lengths, 1e-9)  # 0 for who has no positive
    expected = cosines / 0.25 + data.item_features.to_csr() @ model.b.detach()
    rows = np.arange(data.n_users)
    np.testing.assert_allclose(model.block_scorer()(rows), expected, rtol=2e-5, atol=2e-5)
    pairs = np.divmod(np.arange(expected.size), data.n_items)
    np.testing.assert_allclose(model.pair_scorer()(*pairs), expected.ravel(), rtol=2e-5, atol=2e-5)
    with torch.no_grad():
        found = model(torch.from_numpy(pairs[0]), torch.from_numpy(pairs[1])).numpy()
    np.testing.assert_allclose(found, expected.ravel(), rtol=2e-5, atol=2e-5)


def test_left_out_it_is_the_inner_product(data):
    plain, named = (
        build_model(MfSettings(n_latent=4), data),
        MfSettings(n_latent=4, temperature=1.0),
    )
    assert set(plain.state_dict()) == {"U", "V", "b"}
    rows = np.arange(5)
    same = build_model(named, data).block_scorer()(rows)
    np.testing.assert_array_equal(plain.block_scorer()(rows), same)


def test_a_temperature_divides_inner_products_too(data):
    hot = build_model(MfSettings(n_latent=4, temperature=2.0), data)
    plain = build_model(MfSettings(n_latent=4), data)
    rows = np.arange(5)
    np.testing.assert_allclose(
        hot.block_scorer()(rows), plain.block_scorer()(rows) / 2.0, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("n_items", "share", "temperature"), [(2, 0.5, 0.2), (30, 1 / 30, 4 / 30), (60, 1 / 60, 4 / 60)]
)
def test_without_a_temperature_the_data_decide(n_items, share, temperature):
    """Users who each like one item, evenly; those without any do not count."""
    train = UserItems.from_pairs(
        np.arange(60), np.arange(60) % n_items, n_users=80, n_items=n_items
    )
    data = dataclasses.replace(_data(), train=train)
    assert popularity_of_positives(data) == pytest.approx(share)
    assert temperature_for(data) == pytest.approx(temperature)
    found = build_model(MfSettings(n_latent=4, similarity="cosine"), _data()).temperature
    assert float(found) == pytest.approx(temperature_for(_data()))


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValidationError, match="greater than 0"):
        MfSettings(temperature=temperature)


def test_a_zero_vector_stays_zero():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    units = unit_rows(vectors)
    assert units.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    units.sum().backward()
    assert bool(vectors.grad.isfinite().all())


@pytest.mark.parametrize("side", ["user", "item"])
def test_a_row_without_features_is_refused(data, side):
    matrix = getattr(data, f"{side}_features").to_csr().tolil()
    matrix[3] = 0.0
    bare = dataclasses.replace(data, **{f"{side}_features": Features.from_csr(matrix.tocsr())})
    with pytest.raises(
        DataError, match=rf"1 of \d+ {side}s of .* have no feature.*data.{side}_feat"
    ):
        _model(bare)
    build_model(MfSettings(), bare)  # inner products take it as before


class TestDownstream:
    @pytest.fixture(name="system")
    def _system(self, data):
        settings = TrialSettings(
            model=MfSettings(n_latent=6, similarity="cosine", temperature=0.25),
            data=DataSettings(source="synthetic"),
        )
        return RecommendationSystem(_model(data), data, settings)

    def test_saved_and_loaded(self, system, tmp_path):
        system.save(tmp_path / "model")
        loaded = RecommendationSystem.load(tmp_path / "model")
        assert loaded.recommend(k=4).equals(system.recommend(k=4))

    def test_a_stored_temperature_wins_over_todays_default(self, system, tmp_path, monkeypatch):
        left_out = system.settings.model.model_copy(update={"temperature": None})
        system.settings = system.settings.model_copy(update={"model": left_out})
        system.save(tmp_path / "model")
        monkeypatch.setattr("hbpr.models.temperature_for", lambda _: 3.0)
        loaded = RecommendationSystem.load(tmp_path / "model")
        assert loaded.recommend(k=4).equals(system.recommend(k=4))

    def test_new_users_and_items(self, system):
        name = system.data.item_feature_names[-1]
        wider = system.with_items({1000: {name: 1.0}})
        lengths = np.linalg.norm(wider.model.item_vectors(), axis=1)
        np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
        listed = system.recommend_for_features([system.data.user_feature_names[-1]], k=30)
        assert (listed["score"].diff().dropna() <= 0).all()
        assert np.abs(listed["score"]).max() <= 1 / 0.25 + 1 + 1e-5

    def test_a_history_gives_a_vector_of_the_same_length(self, system):
        vector = fold_in(system.model, np.array([1, 2, 3]), regularisation=0.0)
        assert np.linalg.norm(vector) == pytest.approx(1 / 0.25, rel=1e-4)
        scores = system.model.vector_scorer()(vector[None])[0]
        biases = system.model.item_biases()
        assert (scores - biases)[[1, 2, 3]].mean() > (scores - biases).mean() + 1.0

    def test_a_strong_prior_stays(self, system):
        prior = system.model.user_vectors()[0]
        found = fold_in(system.model, np.array([1, 2]), regularisation=1e4, prior=prior)
        np.testing.assert_allclose(found, prior, atol=1e-2)

    def test_similar_items_are_those_of_the_same_direction(self, system, data):
        found = system.similar_items(k=1).set_index("item")["score"]
        vectors = system.model.item_vectors()
        cosines = vectors @ vectors.T - 9 * np.eye(data.n_items)
        np.testing.assert_allclose(found.to_numpy(), cosines.max(1), atol=1e-5)


def test_lists_leave_out_what_was_seen_and_not_liked(data):
    settings = TrialSettings(model=MfSettings(n_latent=6))
    system = RecommendationSystem(build_model(settings.model, data), data, settings)
    listed = system.recommend(k=data.n_items)
    met = data.met()
    known = {(int(u), int(i)) for u, i in zip(met.users(), met.items, strict=True)}
    shown = set(
        zip(
            np.searchsorted(data.user_ids, listed["user"]).tolist(),
            np.searchsorted(data.item_ids, listed["item"]).tolist(),
            strict=True,
        )
    )
    assert data.train_negatives.n_pairs
    assert not known & shown
    assert len(known) + len(shown) == data.n_users * data.n_items
    everything = system.recommend(k=data.n_items, exclude_seen=False)
    assert len(everything) == data.n_users * data.n_items
