import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.inference.select import select
from hbpr.inference.top_k import _select, top_k_of


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 6), st.integers(0, 99))
def test_compiled_and_plain_selection_agree(
    n_items: int, n_rows: int, n_values: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    block = rng.integers(0, n_values, (n_rows, n_items)).astype(np.float32)
    block[rng.random(block.shape) < 0.2] = -np.inf
    k = int(rng.integers(1, n_items + 1))
    whole = _select(block.copy(), k)
    for found, expected in zip(select(block.copy(), k), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    for row in range(n_rows):
        for found, expected in zip(_select(block[row : row + 1], k), whole, strict=True):
            np.testing.assert_array_equal(found, expected[row : row + 1])


@pytest.mark.parametrize("n_rows", [3, 600])
def test_candidates_alone_are_listed(n_rows: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n_rows, 20)).astype(np.float32)
    candidates = np.arange(20) % 3 == 0
    found = top_k_of(
        lambda rows: scores[rows].copy(), np.arange(n_rows), 20, 5, candidates=candidates
    )
    expected = np.argsort(-np.where(candidates, scores, -np.inf), axis=1)[:, :5]
    np.testing.assert_array_equal(found.items.reshape(n_rows, 5), expected)
