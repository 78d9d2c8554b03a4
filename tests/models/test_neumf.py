"""NeuMF against a plain rendering of its formula, and what the trainer does with it."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from hbpr.baselines import Popularity
from hbpr.data import load_data
from hbpr.data.interactions import Features
from hbpr.evaluation import evaluate
from hbpr.inference.system import RecommendationSystem
from hbpr.models import MatrixFactorization, NeuMF, build_model
from hbpr.models import neumf as neumf_module
from hbpr.models.base import load_arrays, parameters_as_arrays
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings
from hbpr.training import Trainer
from hbpr.training.losses import LOSSES

N_USERS, N_ITEMS = 23, 17
SIZES = {
    "both towers": {"n_latent": 5, "n_latent_mlp": 3, "hidden": (7, 4, 2)},
    "one layer": {"n_latent": 2, "n_latent_mlp": 6, "hidden": (4,)},
    "gmf alone": {"n_latent": 5, "hidden": ()},
    "mlp alone": {"n_latent": 0, "n_latent_mlp": 4, "hidden": (3, 2)},
}


def _features(kind: str, n_rows: int, seed: int) -> Features:
    if kind == "identity":
        return Features.identity(n_rows)
    rng = np.random.default_rng(seed)
    dense = rng.uniform(0.5, 2.0, (n_rows, 6)) * (rng.random((n_rows, 6)) < 0.4)
    return Features.from_csr(sp.hstack([sp.identity(n_rows), sp.csr_matrix(dense)]))


def _model(kind: str = "both", sizes: str = "both towers", **other: object) -> NeuMF:
    """A model whose every weight, bias too, is far from its first value."""
    settings = {"init_std": 1.0, "seed": 3} | SIZES[sizes] | other
    model = NeuMF(_features(kind, N_USERS, 1), _features(kind, N_ITEMS, 2), **settings)
    rng = np.random.default_rng(9)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if name not in ("U", "V") and weight.requires_grad:
                weight.copy_(torch.from_numpy(rng.standard_normal(tuple(weight.shape))))
    return model.eval()


def _oracle(model: NeuMF) -> np.ndarray:
    """(U, I) scores pair by pair, on the concatenation [user; item] as in the paper."""
    weights = {name: w.astype(np.float64) for name, w in parameters_as_arrays(model).items()}
    users = model.user_features.to_csr() @ weights["U"]
    items = model.item_features.to_csr() @ weights["V"]
    scores = np.tile(model.item_features.to_csr() @ weights["b"], (N_USERS, 1))
    d = model.n_latent
    for u, user in enumerate(users):
        for i, item in enumerate(items):
            scores[u, i] += weights["g"] @ (user[:d] * item[:d])
            if not model.hidden:
                continue
            first = np.concatenate([weights["first_user"], weights["first_item"]], axis=1)
            active = first @ np.concatenate([user[d:], item[d:]]) + weights["first_bias"]
            active = np.maximum(active, 0.0)
            for n in range(len(model.hidden) - 1):
                layer = weights[f"weights.{n}"] @ active + weights[f"biases.{n}"]
                active = np.maximum(layer, 0.0)
            scores[u, i] += weights["f"] @ active
    return scores


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", ["identity", "both"])
class TestScores:
    def test_are_those_of_the_formula(self, kind: str, sizes: str, check_scores) -> None:
        model = _model(kind, sizes)
        check_scores(model, _oracle(model))

    @pytest.mark.parametrize("tile", [1, 5, 17, 40, 4096])
    def test_of_the_block_scorer_are_the_same(
        self, kind: str, sizes: str, tile: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(neumf_module._TILE, "cpu", tile)
        model = _model(kind, sizes, dropout=0.5).train()  # the scorer never drops out
        users = np.array([22, 0, 3, 4, 4])
        score = model.block_scorer()
        score(users)[:] = -np.inf  # may be overwritten
        scores = score(users)
        assert scores.dtype == np.float32
        assert scores.flags.c_contiguous
        np.testing.assert_allclose(scores, _oracle(model)[users], atol=1e-4)

    def test_follow_the_weights_to_another_model(self, kind: str, sizes: str) -> None:
        model, other = _model(kind, sizes), _model(kind, sizes, seed=8)
        load_arrays(other, parameters_as_arrays(model))
        everyone = np.arange(N_USERS)
        np.testing.assert_array_equal(
            other.block_scorer()(everyone), model.block_scorer()(everyone)
        )


def test_without_a_network_it_starts_as_matrix_factorization() -> None:
    users, items = _features("both", N_USERS, 1), _features("both", N_ITEMS, 2)
    everyone = np.arange(N_USERS)
    mf = MatrixFactorization(users, items, n_latent=6, seed=4)
    gmf = NeuMF(users, items, n_latent=6, hidden=(), seed=4)
    np.testing.assert_allclose(
        gmf.block_scorer()(everyone), mf.block_scorer()(everyone), rtol=1e-5, atol=1e-7
    )


def test_the_seed_alone_decides_the_first_weights() -> None:
    def first(seed: int) -> dict[str, np.ndarray]:
        return parameters_as_arrays(NeuMF(*[Features.identity(30)] * 2, seed=seed))

    torch.manual_seed(1)
    one = first(5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    same, other = first(5), first(6)
    assert torch.equal(torch.get_rng_state(), state)
    for name, weight in one.items():
        np.testing.assert_array_equal(weight, same[name])
    for name in ("U", "V", "first_user", "weights.0", "f"):
        assert not np.array_equal(one[name], other[name])


def test_dropout_changes_scores_in_training_alone() -> None:
    model = _model(dropout=0.5)
    users, items = torch.arange(N_USERS), torch.arange(N_ITEMS).repeat(N_USERS, 1)
    assert torch.equal(model(users, items), model(users, items))
    model.train()
    assert not torch.equal(model(users, items), model(users, items))


def test_item_vectors_are_both_towers_without_the_bias() -> None:
    model = _model()
    assert model.item_vectors().shape == (N_ITEMS, 8)
    expected = model.item_features.to_csr() @ model.V.detach().numpy()
    np.testing.assert_allclose(model.item_vectors(), expected, atol=1e-5)
    assert model.user_vectors().shape == (N_USERS, 8)


DATA = DataSettings(
    source="synthetic",
    item_feature="both",
    synthetic=SyntheticSettings(n_users=100, n_items=60, n_shown=30, noise=0.1),
)


def _settings(model: dict[str, object], **training: object) -> TrialSettings:
    shape = {"kind": "neumf", "n_latent": 8, "n_latent_mlp": 8, "hidden": [16, 8]}
    loop = {"n_iter": 16, "eval_every": 8, "batch_size": 512, "device": "cpu"}
    return TrialSettings.model_validate({"model": shape | model, "training": loop | training})


@pytest.mark.parametrize("loss", list(LOSSES))
def test_every_loss_trains_it_above_popularity(loss: str) -> None:
    data = load_data(DATA)
    trainer = Trainer(data, _settings({}, loss_function=loss))
    reports = list(trainer)
    assert trainer.engine_name == "autograd"
    assert reports[-1].loss < reports[0].loss
    popular = evaluate(
        Popularity(data.train), data.validation, exclude=data.train, top_k=(10,), part="val"
    )
    assert trainer.best_value > popular.metrics["val/ndcg_at_10"]


@pytest.mark.parametrize("negatives", [{"hardest_of": 3}, {"kind": "adaptive"}])
def test_drawing_looks_at_the_model(negatives: dict[str, object]) -> None:
    reports = list(Trainer(load_data(DATA), _settings({}, negatives=negatives, n_iter=4)))
    assert np.isfinite(reports[-1].loss)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_weight_learns(optimizer: str) -> None:
    data, settings = load_data(DATA), _settings({}, n_iter=1)
    settings = settings.model_copy(
        update={"optimizer": settings.optimizer.model_copy(update={"name": optimizer, "lr": 1e-3})}
    )
    before = parameters_as_arrays(build_model(settings.model, data))
    trainer = Trainer(data, settings)
    next(trainer)
    after = parameters_as_arrays(trainer.model)
    assert all(not np.array_equal(before[name], after[name]) for name in before)


def test_a_resumed_training_drops_the_same_units(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data, settings = load_data(DATA), _settings({"dropout": 0.3}, n_iter=4)
    trainer = Trainer(data, settings)
    losses = [next(trainer).loss for _ in range(2)]
    trainer.save(tmp_path)
    torch.manual_seed(123)  # what others draw changes nothing
    state = torch.get_rng_state()
    losses += [report.loss for report in trainer]
    assert torch.equal(torch.get_rng_state(), state)
    assert not trainer.model.training
    resumed = Trainer(data, settings)
    resumed.load(tmp_path)
    assert [report.loss for report in resumed] == losses[2:]
    assert [report.loss for report in Trainer(data, settings)] == losses


def test_a_saved_system_recommends_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data, settings = load_data(DATA), _settings({"dropout": 0.1}, n_iter=2)
    trainer = Trainer(data, settings)
    list(trainer)
    system = RecommendationSystem(trainer.best_model(), data, settings, trainer.last_metrics)
    system.save(tmp_path / "system")
    loaded = RecommendationSystem.load(tmp_path / "system")
    assert isinstance(loaded.model, NeuMF)
    assert loaded.settings == settings
    for made in ("recommend", "similar_items"):
        assert getattr(loaded, made)(k=5).equals(getattr(system, made)(k=5))
    table = system.recommend(k=3)
    np.testing.assert_allclose(
        loaded.predict(table["user"], table["item"]), table["score"], rtol=1e-4, atol=1e-5
    )
