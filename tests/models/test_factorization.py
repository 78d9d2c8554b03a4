"""What every factorization model must do, whatever describes its users and items."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from hbpr.data import load_data
from hbpr.data.interactions import Features
from hbpr.models import MatrixFactorization, build_model
from hbpr.models.base import load_arrays, parameters_as_arrays
from hbpr.settings.models import DataSettings, MfSettings, SyntheticSettings

N_USERS, N_ITEMS = 23, 17


def _metadata(n_rows: int, n_features: int, seed: int) -> sp.csr_matrix:
    """Weighted features; row 3 has none, row 4 has every one."""
    rng = np.random.default_rng(seed)
    dense = rng.uniform(0.5, 2.0, (n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.4)
    dense[3] = 0.0
    dense[4] = 1.5
    return sp.csr_matrix(dense.astype(np.float32))


def _features(kind: str, n_rows: int, seed: int) -> Features:
    if kind == "identity":
        return Features.identity(n_rows)
    metadata = _metadata(n_rows, 6, seed)
    if kind == "metadata":
        return Features.from_csr(metadata)
    return Features.from_csr(sp.hstack([sp.identity(n_rows, np.float32), metadata]))


def _model(kind: str, item_bias: bool = True, seed: int = 3) -> MatrixFactorization:
    model = MatrixFactorization(
        _features(kind, N_USERS, 1),
        _features(kind, N_ITEMS, 2),
        n_latent=5,
        item_bias=item_bias,
        init_std=1.0,
        seed=seed,
    )
    if item_bias:
        rng = np.random.default_rng(9)
        with torch.no_grad():
            model.b.copy_(torch.from_numpy(rng.standard_normal(len(model.b)).astype(np.float32)))
    return model


def _oracle(model: MatrixFactorization) -> np.ndarray:
    """(U, I) scores by the formula of the docstring."""
    users = model.user_features.to_csr() @ model.U.detach().numpy()
    items = model.item_features.to_csr() @ model.V.detach().numpy()
    return users @ items.T + model.item_features.to_csr() @ model.b.detach().numpy()


@pytest.mark.parametrize("item_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", ["identity", "metadata", "both"])
class TestContract:
    def test_forward_has_the_shape_of_the_items(self, kind: str, item_bias: bool) -> None:
        model = _model(kind, item_bias)
        users = torch.tensor([0, 3, 22, 3])
        assert model(users, torch.tensor([16, 3, 0, 4])).shape == (4,)
        assert model(users, torch.zeros(4, 7, dtype=torch.int64)).shape == (4, 7)
        assert model(users, torch.zeros(4, 1, dtype=torch.int64)).shape == (4, 1)
        assert model(users[:0], torch.zeros(0, dtype=torch.int64)).shape == (0,)

    def test_scores_are_those_of_scipy(self, kind: str, item_bias: bool, check_scores) -> None:
        model = _model(kind, item_bias)
        check_scores(model, _oracle(model))

    def test_the_block_scorer_scores_every_pair_alike(self, kind: str, item_bias: bool) -> None:
        model = _model(kind, item_bias)
        users = np.array([22, 0, 3, 4, 4])
        scores = model.block_scorer()(users)
        assert scores.shape == (5, N_ITEMS)
        assert scores.dtype == np.float32
        assert scores.flags.c_contiguous
        np.testing.assert_allclose(scores, _oracle(model)[users], atol=1e-4)

    def test_scores_may_be_overwritten(self, kind: str, item_bias: bool) -> None:
        model = _model(kind, item_bias)
        score = model.block_scorer()
        score(np.arange(N_USERS))[:] = -np.inf
        np.testing.assert_allclose(score(np.arange(N_USERS)), _oracle(model), atol=1e-4)

    def test_item_vectors_leave_the_bias_out(self, kind: str, item_bias: bool) -> None:
        model = _model(kind, item_bias)
        vectors = model.item_vectors()
        assert vectors.shape == (N_ITEMS, 5)
        assert vectors.dtype == np.float32
        expected = model.item_features.to_csr() @ model.V.detach().numpy()
        np.testing.assert_allclose(vectors, expected, atol=1e-5)

    def test_the_seed_decides_the_first_weights(self, kind: str, item_bias: bool) -> None:
        first, same = _model(kind, item_bias), _model(kind, item_bias)
        other = _model(kind, item_bias, seed=4)
        for a, b in zip(first.parameters(), same.parameters(), strict=True):
            assert torch.equal(a, b)
        assert not torch.equal(first.U, other.U)
        assert not torch.equal(first.U[: len(first.V)], first.V[: len(first.U)])

    def test_gradients_reach_every_feature_of_the_batch(self, kind: str, item_bias: bool) -> None:
        model = _model(kind, item_bias)
        users, items = torch.tensor([4, 5]), torch.tensor([[4, 6], [7, 8]])
        model(users, items).sum().backward()
        touched = model.user_features.to_csr()[[4, 5]].sum(0) > 0
        np.testing.assert_array_equal(model.U.grad.abs().sum(1).numpy() > 0, np.ravel(touched))
        assert (model.b.grad is not None) == item_bias

    def test_arrays_bring_the_weights_to_another_model(self, kind: str, item_bias: bool) -> None:
        model, other = _model(kind, item_bias), _model(kind, item_bias, seed=8)
        arrays = parameters_as_arrays(model)
        load_arrays(other, arrays)
        with torch.no_grad():
            model.U.zero_()  # neither the arrays nor the other model may follow
        np.testing.assert_array_equal(other.U.detach(), arrays["U"])
        assert other.U.abs().sum() > 0


def test_without_bias_nothing_is_added() -> None:
    model = _model("identity", item_bias=False)
    assert not model.b.requires_grad
    assert not model.b.any()


def test_an_item_never_seen_is_scored_from_its_features_alone() -> None:
    """Item 16 is described as item 2 is, and every user scores the two alike."""
    metadata = _metadata(N_ITEMS, 6, 2).tolil()
    metadata[16] = metadata[2]
    model = MatrixFactorization(
        Features.identity(N_USERS), Features.from_csr(metadata.tocsr()), n_latent=5, init_std=1.0
    )
    scores = model.block_scorer()(np.arange(N_USERS))
    np.testing.assert_array_equal(scores[:, 16], scores[:, 2])
    assert np.ptp(scores[:, 16]) > 0.0


def test_a_row_without_features_scores_zero() -> None:
    scores = _model("metadata", item_bias=False).block_scorer()(np.arange(N_USERS))
    assert not scores[3].any()
    assert not scores[:, 3].any()


def test_first_scores_keep_their_size_whatever_the_latent_size() -> None:
    sizes = [
        MatrixFactorization(
            Features.identity(300), Features.identity(200), n_latent=d, init_std=1.0
        )
        .block_scorer()(np.arange(300))
        .std()
        * np.sqrt(d)
        for d in (4, 64)
    ]
    np.testing.assert_allclose(sizes, 1.0, rtol=0.1)


def test_the_identity_is_only_a_shortcut() -> None:
    """Indicators scaled to 2 are no identity, and give other scores than it."""
    twice = Features.from_csr(2.0 * sp.identity(N_USERS, np.float32))
    items = Features.identity(N_ITEMS)
    one, two = (
        MatrixFactorization(f, items, n_latent=3, init_std=1.0, item_bias=False).block_scorer()(
            np.arange(N_USERS)
        )
        for f in (Features.identity(N_USERS), twice)
    )
    np.testing.assert_allclose(two, 2.0 * one, rtol=1e-5)


def test_settings_build_the_model() -> None:
    data = load_data(
        DataSettings(
            source="synthetic",
            item_feature="both",
            synthetic=SyntheticSettings(n_users=20, n_items=15, n_shown=8),
        )
    )
    settings = MfSettings(n_latent=7, item_bias=False, init_std=0.5)
    model = build_model(settings, data, seed=11)
    assert (model.n_users, model.n_items) == (20, 15)
    assert model.U.shape == (20, 7)
    assert model.V.shape == (data.item_features.n_features, 7)
    again = build_model(settings, data, seed=11)
    assert torch.equal(model.U, again.U)
    assert not model.item_bias
