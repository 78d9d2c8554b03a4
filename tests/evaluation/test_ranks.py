import numpy as np
import pytest

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError, DivergedError
from hbpr.evaluation import held_out_ranks


def rank(scores, held_out, exclude=(), **options):
    """Ranks of one user."""
    scores = np.asarray([scores], np.float32)
    held, seen = (
        UserItems.from_pairs(np.zeros(len(i)), list(i), n_users=1, n_items=scores.shape[1])
        for i in (held_out, exclude)
    )
    return held_out_ranks(lambda users: scores[users], held, seen, **options)


def test_counts_candidates_scored_higher():
    assert rank([0.1, 0.9, 0.5, 0.7], [0, 2]).ranks.tolist() == [3, 4]


def test_excluded_items_are_no_candidates():
    ranks = rank([0.1, 0.9, 0.5, 0.7], [0, 2], exclude=[1])
    assert (ranks.ranks.tolist(), ranks.n_candidates.tolist()) == ([2, 3], [3])


def test_a_held_out_item_that_is_also_excluded_stays_a_candidate():
    ranks = rank([0.1, 0.9, 0.5, 0.7], [1, 2], exclude=[1, 3])
    assert (ranks.ranks.tolist(), ranks.n_candidates.tolist()) == ([1, 2], [3])


def test_one_held_out_item_takes_the_middle_of_its_tie():
    assert rank([5, 1, 1, 1, 1], [2]).ranks.tolist() == [3.5]


def test_held_out_items_share_a_tie_evenly():
    assert rank([5, 1, 1, 1, 1, 1], [2, 4]).ranks.tolist() == [3, 5]
    assert rank([1, 1, 1], [0, 1, 2]).ranks.tolist() == [1, 2, 3]


def test_infinite_scores_are_scores():
    inf = np.inf
    assert rank([inf, 0, -inf, -inf], [2], exclude=[3]).ranks.tolist() == [3]
    assert rank([inf, inf, -inf, 0], [0, 2]).ranks.tolist() == [1.5, 4]


@pytest.mark.parametrize("levels", [None, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_reference(case, ranks_of, levels, seed):
    c = case(seed, levels=levels)
    ranks = held_out_ranks(lambda users: c.scores[users], c.held_out, c.exclude, block_bytes=1)
    assert ranks.users.tolist() == [u for u in range(40) if len(c.held_out.of(u))]
    for row, u in enumerate(ranks.users):
        want, n_candidates = ranks_of(c.scores[u], c.held_out.of(u), c.exclude.of(u))
        got = ranks.ranks[ranks.indptr[row] : ranks.indptr[row + 1]]
        np.testing.assert_allclose(got, want)
        assert ranks.n_candidates[row] == n_candidates


def test_many_blocks_equal_one(case):
    c = case(3, n_users=500, levels=6)
    sizes = []

    def score(users):
        sizes.append(len(users))
        return c.scores[users]

    many = held_out_ranks(score, c.held_out, c.exclude, block_bytes=1)
    assert len(sizes) > 1
    sizes.clear()
    one = held_out_ranks(score, c.held_out, c.exclude, block_bytes=2**30)
    assert len(sizes) == 1
    np.testing.assert_array_equal(many.ranks, one.ranks)


def test_reads_read_only_arrays_and_double_precision(case):
    c = case(0)
    for array in (c.held_out.indptr, c.held_out.items, c.exclude.indptr, c.exclude.items):
        array.flags.writeable = False
    single = held_out_ranks(lambda users: c.scores[users], c.held_out, c.exclude)
    double = held_out_ranks(lambda users: c.scores[users].astype(np.float64), c.held_out, c.exclude)
    np.testing.assert_array_equal(single.ranks, double.ranks)


def test_does_not_write_to_read_only_scores():
    scores = np.zeros((1, 3), np.float32)
    scores.flags.writeable = False
    held = UserItems.from_pairs([0], [0], n_users=1, n_items=3)
    seen = UserItems.from_pairs([0], [1], n_users=1, n_items=3)
    assert held_out_ranks(lambda users: scores, held, seen).ranks.tolist() == [1.5]
    assert scores.tolist() == [[0, 0, 0]]


def test_nan_is_named_with_its_user():
    with pytest.raises(DivergedError, match=r"user 0 .* is NaN"):
        rank([0.1, np.nan, 0.5], [0], exclude=[1])


def test_shapes_must_agree():
    held = UserItems.from_pairs([0], [0], n_users=1, n_items=3)
    with pytest.raises(DataError, match="1 x 3 and 2 x 3"):
        held_out_ranks(lambda users: np.zeros((1, 3), np.float32), held, UserItems.empty(2, 3))
    with pytest.raises(DataError, match=r"shape \(1, 3\), got float32 of shape \(1, 4\)"):
        held_out_ranks(lambda users: np.zeros((1, 4), np.float32), held, UserItems.empty(1, 3))
