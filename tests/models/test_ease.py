"""EASE against a solver that knows nothing of the closed form, and a case worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.baselines import Ease
from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation import evaluate


def _pairs(dense: np.ndarray) -> UserItems:
    users, items = np.nonzero(dense)
    return UserItems.from_pairs(users, items, n_users=len(dense), n_items=dense.shape[1])


@given(st.integers(0, 10_000), st.floats(0.05, 50.0))
@settings(max_examples=20)
def test_each_column_is_a_ridge_regression_on_the_other_items(seed: int, l2: float) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.random((rng.integers(1, 30), rng.integers(2, 9))) < 0.4).astype(float)
    n_items = x.shape[1]
    expected = np.zeros((n_items, n_items))
    for j in range(n_items):
        others = [i for i in range(n_items) if i != j]
        stacked = np.vstack([x[:, others], np.sqrt(l2) * np.eye(len(others))])
        target = np.concatenate([x[:, j], np.zeros(len(others))])
        expected[others, j] = np.linalg.lstsq(stacked, target, rcond=None)[0]
    ease = Ease.fit(_pairs(x), regularisation=l2)
    np.testing.assert_allclose(ease.weights, expected, atol=1e-4)
    users = rng.integers(0, len(x), 5)
    scores = ease.block_scorer()(users)
    assert scores.dtype == np.float32
    assert scores.flags.c_contiguous
    np.testing.assert_allclose(scores, x[users] @ expected, atol=1e-3)


def test_two_items_by_hand() -> None:
    """Three users with items (0, 1), one with 0 alone: w[0, 1] = 3 / (4 + 1), w[1, 0] = 3 / 4."""
    ease = Ease.fit(_pairs(np.array([[1, 1], [1, 1], [1, 1], [1, 0]])), regularisation=1.0)
    np.testing.assert_allclose(ease.weights, [[0.0, 0.6], [0.75, 0.0]], atol=1e-6)


def test_finds_the_missing_item_of_each_camp() -> None:
    x = np.indices((40, 20)).sum(0) % 2 == 0
    missing = (np.arange(40) % 2) + 2 * (np.arange(40) % 10)
    x[np.arange(40), missing] = False
    held_out = np.zeros_like(x)
    held_out[np.arange(40), missing] = True
    result = evaluate(
        Ease.fit(_pairs(x), regularisation=10.0), _pairs(held_out), exclude=_pairs(x), top_k=[1],
        part="test",
    )  # fmt: skip
    assert result.metrics["test/hr_at_1"] == 1.0


def test_a_user_and_an_item_without_interactions_score_zero() -> None:
    x = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    scores = Ease.fit(_pairs(x), regularisation=1.0).block_scorer()(np.arange(3))
    assert not scores[2].any()
    assert not scores[:, 3].any()


def test_says_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="regularisation must be above 0, got 0"):
        Ease(UserItems.empty(2, 2), regularisation=0.0)
    with pytest.raises(ConfigError, match="1e-300 is too small"):
        Ease.fit(_pairs(np.array([[1, 1]])), regularisation=1e-300)
    with pytest.raises(DataError, match="needs 15,258,789 MiB for 1,000,000 items"):
        Ease(UserItems.empty(2, 1_000_000))
