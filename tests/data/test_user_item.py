import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data import UserItemData
from hbpr.errors import DataError
from hbpr.settings.models import SplitSettings

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from("abcde"), st.booleans()), min_size=1, max_size=60
)


def build(rows: list[tuple[int, str, bool]]) -> UserItemData:
    data = UserItemData("t")
    for sign, add in (
        (True, data.add_positive_interactions),
        (False, data.add_negative_interactions),
    ):
        kept = [(u, i) for u, i, positive in rows if positive is sign]
        add([u for u, _ in kept], [i for _, i in kept])
    return data


@given(ROWS, st.randoms())
def test_the_order_of_rows_and_calls_changes_nothing(rows, random):
    rows.append((0, "a", True))
    shuffled = random.sample(rows, len(rows))
    once = build(rows).to_interactions()
    piecewise = UserItemData("t")
    for user, item, positive in shuffled:
        add = (
            piecewise.add_positive_interactions if positive else piecewise.add_negative_interactions
        )
        add([user], [item])
    assert piecewise.to_interactions().fingerprint == once.fingerprint


@given(ROWS)
def test_every_pair_is_in_exactly_one_part_and_positive_wins(rows):
    rows.append((0, "a", True))
    data = build(rows).to_interactions()

    def pairs(*parts):
        found = []
        for part in parts:
            found += zip(
                data.user_ids[part.users()].tolist(),
                data.item_ids[part.items].tolist(),
                strict=True,
            )
        return found

    positives = pairs(data.train, data.validation, data.test)
    negatives = pairs(data.train_negatives, data.validation_negatives, data.test_negatives)
    liked = {(u, i) for u, i, positive in rows if positive}
    assert sorted(positives) == sorted(liked)
    assert sorted(negatives) == sorted({(u, i) for u, i, _ in rows} - liked)
    assert data.user_ids.tolist() == sorted({u for u, _, _ in rows})
    assert data.item_ids.tolist() == sorted({i for _, i, _ in rows})


def test_the_quick_start_of_the_design():
    rng = np.random.default_rng(42)
    n_users, n_items = 500, 200
    ui = UserItemData(name="demo")
    ui.add_positive_interactions(rng.integers(0, n_users, 5000), rng.integers(0, n_items, 5000))
    ui.add_negative_interactions(rng.integers(0, n_users, 8000), rng.integers(0, n_items, 8000))
    ui.add_user_features(np.arange(n_users), np.arange(n_users))
    ui.add_item_features(np.arange(n_items), np.arange(n_items))
    ui.split_train_test(train_ratio=0.8)
    data = ui.to_interactions()
    assert (data.n_users, data.n_items) == (500, 200)
    assert data.user_features.is_identity
    assert data.item_features.is_identity
    assert data.split == "random 0.8/0.1/0.1, seed 0"
    assert data.train.n_pairs / ui.n_positives == pytest.approx(0.8, abs=0.02)
    assert data.train_negatives.n_pairs / ui.n_negatives == pytest.approx(0.8, abs=0.02)


def test_widths_of_integers_may_differ_between_calls():
    data = UserItemData()
    data.add_positive_interactions(np.array([1, 2], np.int8), [5, 6])
    data.add_negative_interactions(np.array([2], np.uint32), pd.Series([7], dtype="int16"))
    assert repr(data) == "UserItemData('data', n_users=2, n_items=3, n_positives=2, n_negatives=1)"


def test_a_side_refuses_a_second_type():
    data = UserItemData("shop")
    data.add_positive_interactions([1], ["a"])
    with pytest.raises(DataError, match=r"shop: users: .* int \(1\) and str \('1'\)"):
        data.add_negative_interactions(["1"], ["a"])
    with pytest.raises(DataError, match=r"shop: items: .* str \('a'\) and int \(3\)"):
        data.add_item_features([3], ["red"])
    assert data.n_positives == 1
    assert data.n_negatives == 0


@pytest.mark.parametrize(
    ("users", "items", "weights", "said"),
    [
        ([1, 2], [1], None, "users has 2 rows, items has 1 rows"),
        ([1, 2], [], None, "users has 2 rows, items has 0 rows"),
        ([1, 2], [1, 2], [1.0], "weights has 1 rows"),
        ([1, 2], [1, 2], [1.0, np.nan], r"finite, got nan in row 1 \(1 such rows\)"),
        ([1, 2], [1, 2], [-3, 1], r"above 0, got -3.0 in row 0"),
        ([1, 2], [1, 2], [1, 0], r"above 0, got 0.0 in row 1"),
        ([1, 2], [1, 2], [1e300, 1], r"finite, got 1e\+300 in row 0"),
        ([1, 2], [1, 2], ["x", "y"], "weights must be numbers"),
        ([1, 2], [1, 2], [[1, 2]], "one-dimensional"),
        ([1, None], [1, 2], None, "users: 1 of 2 ids are missing"),
    ],
    ids=str,
)
@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_unusable_interactions_are_refused_and_leave_nothing(users, items, weights, said, sign):
    data = UserItemData("shop")
    add = getattr(data, f"add_{sign}_interactions")
    with pytest.raises(DataError, match=said) as raised:
        add(users, items, weights)
    assert str(raised.value).startswith(f"shop: add_{sign}_interactions: ")
    assert data.n_users == 0


def test_weights_of_repeated_pairs_add_up_and_rows_without_weigh_one():
    data = UserItemData()
    data.add_positive_interactions([1, 1, 2], [1, 1, 1], weights=[0.5, 2.0, 3.0])
    data.add_positive_interactions([1], [1])
    whole = data.assemble()
    assert whole.positives.weights.tolist() == [3.5, 3.0]
    assert whole.negatives.weights is None


def test_what_is_dropped_is_counted_in_the_log(caplog):
    data = UserItemData("shop")
    data.add_positive_interactions([1, 1, 2], [1, 1, 1])
    data.add_negative_interactions([1, 2, 2], [1, 2, 2])
    with caplog.at_level(logging.INFO, logger="hbpr"):
        data.assemble()
        data.assemble()
    assert [r.getMessage() for r in caplog.records] == [
        "shop: 6 rows, 2 positives; left out: 2 repeated, 1 both liked and disliked (they stay "
        "positive)"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    assert data.to_interactions().left_out["repeated"] == 2


def test_what_was_shown_and_not_chosen_becomes_a_negative(caplog):
    """Weights and times of negatives that were given stay; those of pages weigh 1."""
    caplog.set_level(logging.INFO)
    data = UserItemData("t")
    data.add_positive_interactions(["a"], [1], times=[5])
    data.add_negative_interactions(["a"], [2], weights=[3.0], times=[6])
    data.add_pages(["a", "a", "a", "b"], [1, 2, 3, 1], [0, 0, 0, 0], times=[1, 1, 2, 3])
    whole = data.assemble()
    assert whole.negatives.users().tolist() == [0, 0, 1]
    assert whole.negatives.items.tolist() == [1, 2, 0]
    assert whole.negatives.weights.tolist() == [3.0, 1.0, 1.0]
    assert whole.negative_times.tolist() == [6.0, 2.0, 3.0]
    assert whole.pages.users.tolist() == [0, 1]
    assert "2 pairs shown on a page and never chosen, kept as negative" in caplog.text
    data.add_pages(["b"], [2], [1])  # without a time
    assert data.assemble().negative_times is None
    assert data.n_negatives == 4


def test_pages_decide_the_fingerprint_and_are_refused_like_interactions():
    made = []
    for page in ([0, 0], [0, 1]):
        data = UserItemData("t")
        data.add_positive_interactions(["a", "a"], [1, 2])
        data.add_pages(["a", "a"], [1, 2], page)
        made.append(data.to_interactions().fingerprint)
    assert made[0] != made[1]
    with pytest.raises(DataError, match=r"add_pages: .* users has 2 rows, items has 1 rows"):
        data.add_pages(["a", "b"], [1], [0, 0])
    with pytest.raises(DataError, match="add_pages: pages: 1 of 2 ids are missing"):
        data.add_pages(["a", "b"], [1, 1], ["x", None])


def test_without_positives_there_is_nothing_to_learn():
    data = UserItemData("shop")
    with pytest.raises(DataError, match="shop: no positive interactions"):
        data.to_interactions()
    data.add_negative_interactions([1], [1])
    with pytest.raises(DataError, match=r"no positive interactions.*\(1 negative ones\)"):
        data.to_interactions()


def test_metadata_and_indicators_are_columns_side_by_side():
    data = UserItemData()
    data.add_positive_interactions(["u"], [10])
    data.add_item_features([10, 20], [10, 20])
    data.add_item_features([10, 10, 20], ["red", "big", "red"], weights=[1.0, -0.5, 2.0])
    made = data.to_interactions()
    assert made.item_feature_names == ("10", "20", "big", "red")
    assert made.item_features.to_csr().toarray().tolist() == [[1, 0, -0.5, 1], [0, 1, 0, 2]]
    assert made.user_features.is_identity
    assert made.user_feature_names == ()
    assert made.item_ids.tolist() == [10, 20]


def test_a_repeated_feature_counts_once_without_weights():
    data = UserItemData()
    data.add_positive_interactions([1], [1])
    data.add_user_features([1, 1], ["x", "x"])
    assert data.to_interactions().user_features.values.tolist() == [1.0]


def test_users_without_a_feature_are_told_once(caplog):
    data = UserItemData("shop")
    data.add_positive_interactions([1, 2, 3], [1, 1, 1])
    data.add_user_features([2], ["x"])
    data.to_interactions()
    made = data.to_interactions()
    assert np.diff(made.user_features.indptr).tolist() == [0, 1, 0]
    assert [r.getMessage() for r in caplog.records if "no feature" in r.getMessage()] == [
        "shop: 2 of 3 users have no feature, so they score 0"
    ]


def test_labels_of_one_call_are_of_one_type():
    with pytest.raises(DataError, match="add_user_features: features: ids must be of one type"):
        UserItemData().add_user_features([1, 2], [1, "x"])


def test_cold_users_and_items_belong_to_the_catalogue():
    data = UserItemData()
    data.add_positive_interactions(["b"], ["x"])
    data.add_user_features(["a", "b", "c"], ["f", "f", "g"])
    made = data.to_interactions()
    assert made.user_ids.tolist() == ["a", "b", "c"]
    assert made.train.counts.tolist() == [0, 1, 0]


def test_split_train_test_gives_validation_half_of_the_rest():
    data = UserItemData()
    data.split_train_test(0.7, seed=5)
    assert data.split == SplitSettings(train=0.7, validation=0.15, seed=5)
    data.split_train_test(0.7, 0.0)
    assert data.split.validation == 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1.0,), "train"),
        ((0.0,), "train"),
        ((1.5,), "train"),
        ((float("nan"),), "train"),
        ((0.8, 0.2), "below 1"),
        ((0.8, -0.1), "validation"),
        ((0.8, 0.1, -1), "seed"),
    ],
    ids=str,
)
def test_impossible_shares_are_refused(arguments, said):
    with pytest.raises(DataError, match=f"shop: split_train_test: .*{said}"):
        UserItemData("shop").split_train_test(*arguments)


def test_a_given_split_goes_before_the_stored_one():
    data = UserItemData()
    data.add_positive_interactions(np.zeros(100, int), np.arange(100))
    assert data.to_interactions().split == "random 0.8/0.1/0.1, seed 0"
    data.split_train_test(0.5)
    assert data.to_interactions().train.n_pairs == 50
    made = data.to_interactions(SplitSettings(train=0.6, validation=0.1, seed=7))
    assert made.train.n_pairs == 60
    assert made.split == "random 0.6/0.1/0.3, seed 7"


def test_the_split_of_negatives_does_not_move_that_of_positives():
    data = UserItemData()
    data.add_positive_interactions(np.repeat(np.arange(9), 9), np.tile(np.arange(9), 9))
    before = data.to_interactions()
    data.add_negative_interactions(np.arange(9), np.full(9, 20))
    after = data.to_interactions()
    assert (before.test.items == after.test.items).all()


def test_ten_thousand_string_ids_take_no_loop():
    users = np.array([f"user {k}" for k in range(10_000)])
    data = UserItemData()
    data.add_positive_interactions(users, users[::-1])
    made = data.to_interactions()
    assert made.user_ids.dtype.kind == "U"
    assert made.train.n_pairs == 10_000
