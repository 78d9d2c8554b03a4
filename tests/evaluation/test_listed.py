import numpy as np
import pytest

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError, DivergedError
from hbpr.evaluation import evaluate, held_out_ranks, listed_ranks


def pairs(users, items, shape):
    return UserItems.from_pairs(users, items, n_users=shape[0], n_items=shape[1])


def of_table(scores):
    return lambda users, items: scores[users, items]


class Pairs:
    """Scorer of pairs that has no blocks to offer."""

    def __init__(self, scores):
        self.scores, self.n_scored = scores, 0

    def block_scorer(self):
        raise AssertionError("the whole catalogue was scored")

    def pair_scorer(self):
        def score(users, items):
            self.n_scored += len(users)
            return self.scores[users, items]

        return score


def test_counts_only_listed_items():
    scores = np.array([[0.1, 0.9, 0.5, 0.7, 0.8]], np.float32)
    listed = pairs([0, 0], [0, 3], (1, 5))
    ranks = listed_ranks(of_table(scores), pairs([0], [2], (1, 5)), UserItems.empty(1, 5), listed)
    assert (ranks.ranks.tolist(), ranks.n_candidates.tolist()) == ([2], [3])


@pytest.mark.parametrize("levels", [None, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_reference(case, ranks_of, levels, seed):
    c = case(seed, levels=levels)
    rng = np.random.default_rng(seed)
    listed = pairs(*np.nonzero(rng.random(c.scores.shape) < 0.4), c.scores.shape)
    ranks = listed_ranks(of_table(c.scores), c.held_out, c.exclude, listed)
    assert ranks.users.tolist() == [u for u in range(40) if len(c.held_out.of(u))]
    for row, u in enumerate(ranks.users):
        out = set(range(12)) - set(listed.of(u).tolist()) | set(c.exclude.of(u).tolist())
        want, n_candidates = ranks_of(c.scores[u], c.held_out.of(u), out)
        np.testing.assert_allclose(ranks.ranks[ranks.indptr[row] : ranks.indptr[row + 1]], want)
        assert ranks.n_candidates[row] == n_candidates


def test_a_list_of_everything_is_the_whole_catalogue(case):
    c = case(3, n_users=3000, n_items=60, levels=6)
    everything = pairs(*np.nonzero(np.ones(c.scores.shape)), c.scores.shape)
    listed = listed_ranks(of_table(c.scores), c.held_out, c.exclude, everything)
    whole = held_out_ranks(lambda users: c.scores[users], c.held_out, c.exclude)
    np.testing.assert_array_equal(listed.ranks, whole.ranks)
    np.testing.assert_array_equal(listed.n_candidates, whole.n_candidates)


def test_blocks_and_pairs_give_the_same_and_say_so(case, table):
    c = case(1, n_users=700)
    listed = pairs(*np.nonzero(np.random.default_rng(0).random(c.scores.shape) < 0.3), (700, 12))
    scorer = Pairs(c.scores)
    found = [
        evaluate(s, c.held_out, exclude=c.exclude, top_k=(3,), part="test", candidates=listed)
        for s in (table(c.scores), scorer)
    ]
    assert found[0].metrics == found[1].metrics
    assert [f.candidates for f in found] == ["listed", "listed"]
    ranks = listed_ranks(of_table(c.scores), c.held_out, c.exclude, listed)
    assert scorer.n_scored == ranks.n_candidates.sum()
    assert found[1].n_unopposed == (ranks.n_candidates == ranks.n_held_out).sum() > 0
    whole = evaluate(table(c.scores), c.held_out, exclude=c.exclude, top_k=(3,), part="test")
    assert whole.candidates == "all"
    assert whole.metrics != found[0].metrics


def test_nan_is_named_with_its_user():
    scores = np.array([[1, 2], [1, np.nan]], np.float32)
    held = pairs([0, 1], [0, 0], (2, 2))
    with pytest.raises(DivergedError, match=r"user 1 .* is NaN"):
        listed_ranks(of_table(scores), held, UserItems.empty(2, 2), pairs([1], [1], (2, 2)))


def test_shapes_must_agree():
    held, none = pairs([0], [0], (1, 3)), UserItems.empty(1, 3)
    with pytest.raises(DataError, match=r"candidates must speak .* 1 x 3 and 1 x 4"):
        listed_ranks(of_table(np.zeros((1, 3))), held, none, UserItems.empty(1, 4))
    with pytest.raises(DataError, match="must return 1 float32 scores, got int64"):
        listed_ranks(lambda users, items: items.astype(np.int64), held, none, none)
