"""Features parted into what a row has for itself and what it shares."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data.interactions import Features
from hbpr.training.fused.sharing import SplitFeatures, split_features, stride_of

#: So few visits that each shared feature stands alone, so many that whole patterns are kept.
both_ways = pytest.mark.parametrize("visits", [0, 10**6], ids=["alone", "patterns"])


def dense(shared: SplitFeatures, n_features: int) -> np.ndarray:
    """(rows, n_features) the features put together again."""
    n_rows, n_sums = len(shared.own), len(shared.starts) - 1
    columns = shared.features[shared.places]
    sums = sp.csr_matrix((shared.values, columns, shared.starts), shape=(n_sums, n_features))
    rows = sp.csr_matrix((shared.weights, shared.sums, shared.indptr), shape=(n_rows, n_sums))
    whole = (rows @ sums).toarray()
    whole[np.arange(n_rows), shared.own] += shared.weight
    return whole


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Small matrices with rows and columns of zeros, equal rows, and columns of one entry."""
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    cells = st.sampled_from([0.0, 0.0, 0.5, 1.0])
    return np.array(draw(st.lists(cells, min_size=n * m, max_size=n * m)), np.float32).reshape(n, m)


def features_of(rows: np.ndarray) -> Features:
    return Features.from_csr(sp.csr_matrix(rows))


class TestPart:
    @both_ways
    @given(rows=matrices())
    def test_nothing_is_lost(self, rows: np.ndarray, visits: int) -> None:
        shared = split_features(features_of(rows), visits)
        np.testing.assert_array_equal(dense(shared, rows.shape[1]), rows)

    @both_ways
    @given(rows=matrices())
    def test_what_a_row_has_for_itself_no_other_row_has(
        self, rows: np.ndarray, visits: int
    ) -> None:
        shared = split_features(features_of(rows), visits)
        owners = np.flatnonzero(shared.weight)
        assert ((rows[:, shared.own[owners]] != 0).sum(0) == 1).all()

    @given(rows=matrices())
    def test_no_two_patterns_are_the_same(self, rows: np.ndarray) -> None:
        shared = split_features(features_of(rows), 10**6)
        rest = rows.copy()
        owners = shared.weight != 0
        rest[owners, shared.own[owners]] = 0
        different = np.unique(rest[rest.any(1)], axis=0)
        assert len(shared.starts) - 1 == len(different)
        assert (np.diff(shared.indptr) <= 1).all()

    def test_films_of_the_same_genres_share_a_sum(self) -> None:
        genres = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], np.float32)
        shared = split_features(features_of(np.hstack([np.eye(4), genres])), 100)
        assert shared.own.tolist() == [0, 1, 2, 3]
        assert shared.features.tolist() == [4, 5]
        assert shared.indptr.tolist() == [0, 1, 2, 3, 3]
        assert shared.sums.tolist() == [0, 1, 0]

    def test_rows_that_share_nothing_have_no_sums(self) -> None:
        shared = split_features(Features.identity(5), 100)
        assert shared.starts.tolist() == [0]
        assert shared.weight.tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("n_positives", "adagrad", "stride"),
    [(0, True, 1), (127, True, 1), (12_800, True, 100), (10**6, True, 2_048), (10**6, False, 64)],
)
def test_shared_features_take_many_steps_an_epoch(
    n_positives: int, adagrad: bool, stride: int
) -> None:
    assert stride_of(n_positives, adagrad=adagrad) == stride
