"""Vectors of users who were not in training: against an outside solver, and in use."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import torch

from hbpr.baselines import Popularity
from hbpr.data import load_data
from hbpr.data.interactions import Features
from hbpr.evaluation import evaluate
from hbpr.inference.fold_in import fold_in
from hbpr.models import MatrixFactorization, NeuMF
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings
from hbpr.training import Trainer

N_ITEMS, REG = 30, 0.05


def _model(seed: int = 0) -> MatrixFactorization:
    model = MatrixFactorization(
        Features.identity(4), Features.identity(N_ITEMS), n_latent=3, init_std=2.0, seed=seed
    )
    with torch.no_grad():
        model.b.copy_(torch.from_numpy(np.random.default_rng(1).normal(size=N_ITEMS)))
    return model


@pytest.mark.parametrize("prior", [None, np.array([1.0, -2.0, 0.5], np.float32)])
@pytest.mark.parametrize("items", [[4], [0, 7, 8, 29], list(range(25))])
def test_finds_the_minimum_that_scipy_finds(items: list[int], prior: np.ndarray | None) -> None:
    model, center = _model(), np.zeros(3) if prior is None else prior.astype(np.float64)
    others = [i for i in range(N_ITEMS) if i not in items]

    def loss(user: np.ndarray) -> float:
        scores = model.item_vectors() @ user + model.item_biases()
        gaps = scores[items][:, None] - scores[others]
        fit = np.logaddexp(0.0, -gaps).mean(1).sum()
        return float(fit + 0.5 * REG * len(items) * ((user - center) ** 2).sum())

    expected = scipy.optimize.minimize(loss, center, options={"gtol": 1e-7}).x
    found = fold_in(model, np.array(items), regularisation=REG, prior=prior)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)
    assert loss(found) <= loss(expected) + 1e-5


def test_leaves_the_model_as_it_was_and_repeats_itself() -> None:
    model = NeuMF(Features.identity(4), Features.identity(N_ITEMS), dropout=0.5).train()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    one, two = (fold_in(model, np.array([3, 5]), regularisation=REG) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert model.training
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name])
        assert weight.grad is None


def test_a_history_of_the_whole_catalogue_or_pool_stays_at_the_prior() -> None:
    prior = np.array([1.0, 2.0, 3.0], np.float32)
    whole, some = np.arange(N_ITEMS), np.arange(5)
    for items, pool in ((whole, None), (some, some)):
        found = fold_in(_model(), items, regularisation=REG, prior=prior, pool=pool)
        np.testing.assert_array_equal(found, prior)


def test_a_history_in_perfect_order_stays_finite_without_l2() -> None:
    found = fold_in(_model(), np.array([int(_model().item_vectors()[:, 0].argmax())]),
                    regularisation=0.0)  # fmt: skip
    assert np.isfinite(found).all()
    assert np.linalg.norm(found) < 1e3


def test_large_catalogues_are_sampled_and_give_nearly_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = MatrixFactorization(
        Features.identity(1), Features.identity(4000), n_latent=4, init_std=2.0
    )
    items = np.argsort(-model.item_vectors()[:, 1])[:20]
    sampled = fold_in(model, items, regularisation=REG)
    monkeypatch.setattr("hbpr.inference.fit_vector.NEGATIVES", 10**6)
    whole = fold_in(model, items, regularisation=REG)
    assert not np.array_equal(sampled, whole)
    assert sampled @ whole / np.linalg.norm(sampled) / np.linalg.norm(whole) > 0.99


@pytest.mark.parametrize("kind", ["mf", "neumf"])
def test_users_left_out_are_served_nearly_as_well_as_those_in_training(kind: str) -> None:
    """Every fifth user is left out, folded in from the training part, judged on the test part."""
    whole = load_data(
        DataSettings(
            source="synthetic",
            synthetic=SyntheticSettings(n_users=400, n_items=120, n_shown=60, noise=0.1),
        )
    )
    out = np.arange(whole.n_users) % 5 == 0
    parts = {
        name: getattr(whole, name).select(~out[getattr(whole, name).users()])
        for name in ("train", "validation")
    }
    network = {"n_latent_mlp": 8, "hidden": [8]} if kind == "neumf" else {}
    settings = TrialSettings.model_validate(
        {
            "model": {"kind": kind, "n_latent": 8, **network},
            "training": {"n_iter": 20, "device": "cpu", "batch_size": 512},
        }
    )
    history = whole.train.select(out[whole.train.users()])
    held_out = whole.test.select(out[whole.test.users()])

    def ndcg(scorer: object) -> float:
        found = evaluate(scorer, held_out, exclude=history, top_k=(10,), part="test")  # type: ignore[arg-type]
        return found.metrics["test/ndcg_at_10"]

    def train(data: object) -> object:
        trainer = Trainer(data, settings)  # type: ignore[arg-type]
        list(trainer)
        return trainer.best_model()

    trained_with = ndcg(train(whole))
    model = train(dataclasses.replace(whole, **parts))
    vectors = np.zeros_like(model.user_vectors())  # type: ignore[attr-defined]
    for user in np.flatnonzero(history.counts):
        vectors[user] = fold_in(model, history.of(user), regularisation=0.01)  # type: ignore[arg-type]

    class FoldedIn:
        def block_scorer(self) -> object:
            score = model.vector_scorer()  # type: ignore[attr-defined]
            return lambda users: score(vectors[users])

    folded = ndcg(FoldedIn())
    popular = ndcg(Popularity(parts["train"]))
    assert folded > popular + 0.5 * (trained_with - popular)
