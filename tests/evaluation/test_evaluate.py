import numpy as np
import pytest

from hbpr.baselines import Popularity
from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation import evaluate
from hbpr.evaluation.metrics import ndcg_at_k
from hbpr.names import parse_metric_name


def test_means_are_over_the_users_with_something_held_out(table):
    scores = np.array([[3, 2, 1], [3, 2, 1], [1, 2, 3]], np.float32)
    held_out = UserItems.from_pairs([0, 2], [0, 0], n_users=3, n_items=3)
    result = evaluate(
        table(scores), held_out, exclude=UserItems.empty(3, 3), top_k=(1, 3), part="val"
    )
    assert (result.n_users, result.n_skipped) == (2, 1)
    assert result.metrics["val/hr_at_1"] == 0.5
    assert result.metrics["val/ndcg_at_3"] == pytest.approx((1 + 0.5) / 2)
    assert result.metrics["val/mrr"] == pytest.approx((1 + 1 / 3) / 2)
    assert result.metrics["val/auc"] == pytest.approx((1 + 0) / 2)
    assert ndcg_at_k(result.ranks, 3).tolist() == [1.0, 0.5]
    assert result.ranks.users.tolist() == [0, 2]


def test_every_metric_for_every_k_by_its_full_name(table, case):
    c = case(0)
    result = evaluate(
        table(c.scores), c.held_out, exclude=c.exclude, top_k=(10, 5, 10), part="test"
    )
    assert len(result.metrics) == 2 + 2 * 5
    for name in result.metrics:
        assert parse_metric_name(name).part == "test"


def test_users_without_another_candidate_are_left_out_and_counted(table):
    """User 1 has nothing to be ranked against: every metric would be perfect."""
    held_out = UserItems.from_pairs([0, 1, 1], [0, 0, 1], n_users=3, n_items=2)
    scores = np.array([[1, 2], [2, 1], [2, 1]], np.float32)
    nothing = UserItems.empty(3, 2)
    found = evaluate(table(scores), held_out, exclude=nothing, top_k=(1,), part="val")
    assert (found.n_users, found.n_skipped, found.n_unopposed) == (1, 1, 1)
    assert found.ranks.users.tolist() == [0]
    assert found.metrics["val/auc"] == found.metrics["val/hr_at_1"] == 0.0
    assert found.metrics["val/mrr"] == 0.5


def test_the_same_holds_among_listed_candidates(table):
    held_out = UserItems.from_pairs([0, 1, 1, 2], [0, 0, 1, 2], n_users=3, n_items=3)
    listed = UserItems.from_pairs([0, 2], [2, 0], n_users=3, n_items=3)
    exclude = UserItems.from_pairs([2], [0], n_users=3, n_items=3)
    scores = np.array([[1, 0, 2]] * 3, np.float32)
    ask = {"exclude": exclude, "top_k": (1,), "part": "test"}
    found = evaluate(table(scores), held_out, candidates=listed, **ask)
    assert (found.n_users, found.n_skipped, found.n_unopposed) == (1, 0, 2)
    assert found.metrics["test/ndcg_at_1"] == 0.0
    with pytest.raises(DataError, match=r"none of the 3 users .* use data\.candidates: all"):
        evaluate(table(scores), held_out, candidates=UserItems.empty(3, 3), **ask)


def test_nothing_held_out_is_an_error(table):
    nothing = UserItems.empty(2, 2)
    with pytest.raises(DataError, match="no user has an item held out"):
        evaluate(table(np.zeros((2, 2))), nothing, exclude=nothing, top_k=(1,), part="val")


def test_lengths_start_at_1(table, case):
    c = case(0)
    with pytest.raises(ConfigError, match=r"got \[10, 0\]"):
        evaluate(table(c.scores), c.held_out, exclude=c.exclude, top_k=(10, 0), part="val")


def test_popularity_ranks_by_the_number_of_users():
    train = UserItems.from_pairs(
        [0, 1, 2, 0, 1, 0], [2, 2, 2, 0, 0, 1], n_users=4, n_items=4, weights=[1, 1, 1, 9, 9, 9]
    )
    popularity = Popularity(train)
    np.testing.assert_array_equal(popularity.block_scorer()(np.array([0, 3])), [[2, 1, 3, 0]] * 2)
    held_out = UserItems.from_pairs([1, 3], [1, 0], n_users=4, n_items=4)
    result = evaluate(popularity, held_out, exclude=train, top_k=(1,), part="test")
    # user 1 has candidates 1 and 3 and gets 1; user 3 has all four and gets 2 first.
    assert result.metrics["test/hr_at_1"] == 0.5
    assert result.metrics["test/mrr"] == 0.75
