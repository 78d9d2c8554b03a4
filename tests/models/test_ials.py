"""iALS against dense normal equations, the formula of Hu et al., and descent of its objective."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.data.interactions import UserItems
from hbpr.models.ials import Ials, Penalty, solve_rows


def pairs(dense, *, weighted=False):
    users, items = np.nonzero(dense)
    weights = dense[users, items] if weighted else None
    return UserItems.from_pairs(
        users, items, n_users=len(dense), n_items=dense.shape[1], weights=weights
    )


def dense_rows(x, others, unobserved, l2, exponent):
    """Each row by the normal equations of all of its cells."""
    found = np.zeros((len(x), others.shape[1]))
    for u, weights in enumerate(x.astype(np.float64)):
        if not weights.any():
            continue
        ridge = l2 * (weights.sum() + unobserved * len(weights)) ** exponent
        a = others.T @ np.diag(weights + unobserved) @ others + ridge * np.eye(others.shape[1])
        found[u] = np.linalg.solve(a, others.T @ weights)
    return found


@given(st.integers(0, 10_000), st.floats(0.01, 2.0), st.floats(0.001, 1.0), st.floats(0.0, 1.5))
@settings(max_examples=20)
def test_rows_solve_the_dense_equations(seed, unobserved, l2, exponent):
    rng = np.random.default_rng(seed)
    n_users, n_items, d = rng.integers(1, 30), rng.integers(2, 20), rng.integers(1, 9)
    x = (rng.random((n_users, n_items)) < 0.3) * rng.uniform(0.5, 2.0, (n_users, n_items))
    others = rng.normal(size=(n_items, d)).astype(np.float32)
    start = rng.normal(size=(n_users, d)).astype(np.float32)
    found = solve_rows(
        pairs(x, weighted=True), start, others, Penalty(unobserved, l2, exponent, block=d)
    )
    expected = dense_rows(x, others.astype(np.float64), unobserved, l2, exponent)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=2e-3)


def test_one_side_is_that_of_hu_koren_volinsky_but_for_a_factor():
    """With c = 1 + 1 / alpha0 for positives and 1 elsewhere, target 1: the same directions."""
    rng = np.random.default_rng(0)
    x = rng.random((12, 9)) < 0.4
    others, unobserved, l2 = rng.normal(size=(9, 3)), 0.25, 0.5
    penalty = Penalty(unobserved, l2, exponent=0.0, block=3)
    ours = solve_rows(pairs(x), np.zeros((12, 3), np.float32), others.astype(np.float32), penalty)
    c = 1.0 + x / unobserved
    for u in range(12):
        a = others.T @ np.diag(c[u]) @ others + l2 / unobserved * np.eye(3)
        theirs = np.linalg.solve(a, others.T @ (c[u] * x[u]))
        np.testing.assert_allclose(ours[u] * (1.0 + unobserved), theirs, atol=1e-4)


def test_parts_come_to_the_exact_solution_pass_by_pass():
    rng = np.random.default_rng(1)
    x = rng.random((20, 15)) < 0.4
    others = rng.normal(size=(15, 6)).astype(np.float32)
    exact = solve_rows(pairs(x), np.zeros((20, 6), np.float32), others, Penalty(0.1, 0.1, 1.0, 6))
    found, gaps = np.zeros((20, 6), np.float32), []
    for _ in range(30):
        found = solve_rows(pairs(x), found, others, Penalty(0.1, 0.1, 1.0, 2))
        gaps.append(float(np.abs(found - exact).max()))
    assert gaps[-1] < 1e-3 < gaps[0]


@pytest.mark.parametrize("block", [2, 8])
def test_the_objective_falls_with_every_pass_and_is_what_it_says(block):
    rng = np.random.default_rng(2)
    x = (rng.random((30, 20)) < 0.3) * rng.integers(1, 4, (30, 20))
    model = Ials(
        pairs(x, weighted=True), n_latent=8, unobserved_weight=0.2, scaled_l2=0.05, block=block
    )
    losses = [model.solve() for _ in range(6)]
    assert losses == sorted(losses, reverse=True)
    w = x / x[x > 0].mean()
    s = model.U @ model.V.T
    expected = (w * (1.0 - s) ** 2).sum() + 0.2 * (s**2).sum()
    for weights, vectors in ((w, model.U), (w.T, model.V)):
        l2 = 0.05 * (weights.sum(1) + 0.2 * weights.shape[1])
        expected += (l2 * (vectors**2).sum(1)).sum()
    assert losses[-1] == pytest.approx(expected / (x > 0).sum(), rel=1e-4)


def test_weights_are_confidence_and_only_their_ratios_count():
    rng = np.random.default_rng(3)
    x = rng.random((15, 10)) < 0.4
    heavy = np.where(x, 2.0, 0.0)
    heavy[:, 0] *= 5.0
    plain, doubled = Ials(pairs(x), n_latent=4), Ials(pairs(2.0 * x, weighted=True), n_latent=4)
    weighted = Ials(pairs(heavy, weighted=True), n_latent=4)
    for model in (plain, doubled, weighted):
        for _ in range(10):
            model.solve()
    np.testing.assert_allclose(plain.U, doubled.U, atol=1e-6)
    liked = x[:, 0]

    def mean(model):
        return (model.U[liked] @ model.V[0]).mean()

    assert mean(weighted) > mean(plain)


def test_who_and_what_nobody_met_is_zero_and_the_seed_decides_the_rest():
    x = np.zeros((4, 5), bool)
    x[:3, :3] = np.eye(3)
    one, same, other = (Ials(pairs(x), n_latent=3, seed=seed) for seed in (0, 0, 1))
    for model in (one, same, other):
        model.solve()
    assert not one.U[3].any()
    assert not one.V[3:].any()
    np.testing.assert_array_equal(one.U, same.U)
    assert np.abs(one.U - other.U).max() > 1e-6


def test_a_user_is_folded_in_as_training_would_solve_for_them():
    rng = np.random.default_rng(4)
    x = rng.random((25, 12)) < 0.4
    model = Ials(pairs(x), n_latent=4, block=2)
    for _ in range(5):
        model.solve()
    penalty = Penalty(0.1, 0.02, 1.0, 4)
    expected = solve_rows(pairs(x), np.zeros((25, 4), np.float32), model.V, penalty)
    np.testing.assert_allclose(model.fold_in(np.flatnonzero(x[7])), expected[7], atol=1e-5)
