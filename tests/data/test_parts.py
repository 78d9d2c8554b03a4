import dataclasses
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data import UserItemData, UserItems, generate
from hbpr.data.leakage import check_leakage
from hbpr.data.parts import draw_outside
from hbpr.errors import DataError
from hbpr.inference.packing import pack, unpack
from hbpr.settings.models import SplitSettings

KINDS = ("random", "leave_one_out", "temporal", "cold_items", "cold_users", "fixed")
PARTS = ("train", "validation", "test", "train_negatives", "validation_negatives", "test_negatives")
ROW = st.tuples(st.integers(0, 9), st.integers(0, 7), st.booleans(), st.integers(0, 5))


def build(rows) -> UserItemData:
    """Rows of (user, item, positive, time); every third pair is named for test."""
    data = UserItemData("t")
    for sign, add in (
        (True, data.add_positive_interactions),
        (False, data.add_negative_interactions),
    ):
        kept = [row for row in rows if row[2] is sign]
        add([r[0] for r in kept], [r[1] for r in kept], times=[r[3] for r in kept])
    test = [(u, i) for u, i, _, _ in rows if (u + i) % 3 == 0]
    data.hold_out_for_test([u for u, _ in test], [i for _, i in test])
    return data


def pairs_of(data, part: str) -> set[tuple[int, int]]:
    pairs = getattr(data, part)
    users, items = data.user_ids[pairs.users()], data.item_ids[pairs.items]
    return set(zip(users.tolist(), items.tolist(), strict=True))


def early_and_late() -> list[tuple[int, int, bool, int]]:
    """Ten users with six positives each at moments 0 to 5, and two negatives at 2 and 5."""
    rows = [(u, i, True, i) for u in range(10) for i in range(6)]
    return rows + [(u, i, False, t) for u in range(10) for i, t in ((6, 2), (7, 5))]


@given(st.lists(ROW, max_size=80), st.sampled_from(KINDS), st.integers(0, 5), st.randoms())
def test_every_split_parts_everything_once_whatever_the_order(rows, kind, seed, random):
    rows = [(0, 0, True, 0), (0, 1, True, 3), *rows]
    split = SplitSettings(kind=kind, seed=seed, name="u1" if kind == "fixed" else None)
    if kind == "temporal":  # eight of ten positives are not of the first moment
        rows = [*rows, *((9 - k % 2, 100 + k, True, k) for k in range(400))]
    data = build(rows).to_interactions(split, candidates="observed")
    whole = build(rows).assemble()
    assert sum(getattr(data, p).n_pairs for p in PARTS[:3]) == whole.positives.n_pairs
    assert sum(getattr(data, p).n_pairs for p in PARTS[3:]) == whole.negatives.n_pairs
    assert len(set().union(*(pairs_of(data, p) for p in PARTS))) == sum(
        getattr(data, p).n_pairs for p in PARTS
    )
    assert data.test_candidates is data.test_negatives
    shuffled = random.sample(rows, len(rows))
    again = build(shuffled).to_interactions(split, candidates="observed")
    assert again.fingerprint == data.fingerprint
    check_leakage(data.refit_on_validation())


def test_leave_one_out_takes_the_latest_and_then_the_one_before():
    data = build(early_and_late())
    data._added.test.clear()
    parts = data.to_interactions(SplitSettings(kind="leave_one_out"))
    assert pairs_of(parts, "test") == {(u, 5) for u in range(10)}
    assert pairs_of(parts, "validation") == {(u, 4) for u in range(10)}
    assert pairs_of(parts, "train_negatives") == {(u, 6) for u in range(10)}
    assert pairs_of(parts, "test_negatives") == {(u, 7) for u in range(10)}
    assert parts.split == "leave one out, latest as test, seed 0"


def test_leave_one_out_with_a_named_test_part_validates_on_the_latest_of_the_rest():
    data = UserItemData("t")
    data.add_positive_interactions([0] * 4, [1, 2, 3, 4], times=[1, 2, 3, 4])
    data.hold_out_for_test([0], [2])
    parts = data.to_interactions(SplitSettings(kind="leave_one_out"))
    assert [pairs_of(parts, p) for p in PARTS[:3]] == [{(0, 1), (0, 3)}, {(0, 4)}, {(0, 2)}]


def test_leave_one_out_leaves_small_users_something_to_learn():
    data = UserItemData("t")
    data.add_positive_interactions([1, 2, 2, 3, 3, 3], [0, 0, 1, 0, 1, 2], times=np.arange(6))
    parts = data.to_interactions(SplitSettings(kind="leave_one_out"))
    assert [part.counts.tolist() for part in (parts.train, parts.validation, parts.test)] == [
        [1, 1, 1],
        [0, 0, 1],
        [0, 1, 1],
    ]


def test_a_tie_in_time_is_drawn_from_the_seed():
    data = UserItemData("t")
    users = np.repeat(np.arange(500), 4)
    data.add_positive_interactions(users, np.tile(np.arange(4), 500), times=np.zeros(2000))
    first, other = (
        data.to_interactions(SplitSettings(kind="leave_one_out", seed=seed)).test for seed in (0, 1)
    )
    counts = np.bincount(first.items, minlength=4)
    assert counts.min() > 90  # of 125 expected: no item is later for its number
    assert not np.array_equal(first.items, other.items)


def test_temporal_parts_at_two_moments_that_keep_together():
    parts = build(early_and_late()).to_interactions(
        SplitSettings(kind="temporal", train=0.5, validation=0.3)
    )
    times = {p: {i for _, i in pairs_of(parts, p)} for p in PARTS}
    assert [times[p] for p in PARTS[:3]] == [{0, 1, 2}, {3}, {4, 5}]
    assert [times[p] for p in PARTS[3:]] == [{6}, set(), {7}]
    assert parts.split == "temporal 0.5/0.167/0.333, before 3 and 4"


def test_temporal_needs_more_than_one_moment():
    data = UserItemData("t")
    data.add_positive_interactions([0] * 9, range(9), times=[1] * 8 + [2])
    with pytest.raises(DataError, match=r"nothing is before the moment 1, .* only 2 distinct"):
        data.to_interactions(SplitSettings(kind="temporal"))


def test_temporal_counts_users_that_train_has_not_seen(caplog):
    data = UserItemData("t")
    data.add_positive_interactions([0] * 9 + [1], range(10), times=range(10))
    with caplog.at_level(logging.INFO):
        data.to_interactions(SplitSettings(kind="temporal"))
    assert "1 users are held out without an interaction in train" in caplog.text


def test_metrics_over_a_handful_of_users_are_told(caplog):
    build(early_and_late()).to_interactions(SplitSettings(train=0.5, validation=0.25))
    assert [record.getMessage() for record in caplog.records] == [
        f"t: only 10 users have an item in the {part} part: its metrics are means over them and "
        "differ by chance. Raise the part's share in data.split, or add interactions"
        for part in ("validation", "test")
    ]
    caplog.clear()
    enough = [(user, (user + k) % 7, True, k) for user in range(30) for k in range(6)]
    build(enough).to_interactions(SplitSettings(train=0.5, validation=0.25))
    assert caplog.text == ""


def test_cold_items_never_enter_training_nor_its_negative_pool():
    data = generate().data.to_interactions(SplitSettings(kind="cold_items"))
    assert data.trainable_items is not None
    share = data.trainable_items.mean()
    assert share == pytest.approx(0.8, abs=0.01)
    for part in (data.train, data.train_negatives):
        assert part.n_pairs
        assert data.trainable_items[part.items].all()
    for name in PARTS:
        if not name.startswith("train"):
            assert not data.trainable_items[getattr(data, name).items].any()
    assert not set(data.validation.items) & set(data.test.items)
    refit = data.refit_on_validation()
    assert refit.trainable_items is not None
    assert refit.trainable_items[data.validation.items].all()
    assert not refit.trainable_items[data.test.items].any()
    assert not data.trainable_items[data.validation.items].any()  # what was frozen stays


def test_cold_users_are_held_out_with_all_they_did():
    data = generate().data.to_interactions(SplitSettings(kind="cold_users"))
    users = [set(getattr(data, p).users()) | set(getattr(data, f"{p}_negatives").users())
             for p in ("train", "validation", "test")]  # fmt: skip
    assert [len(u) for u in users] == [480, 60, 60]
    assert not users[0] & users[1]
    assert not users[2] & (users[0] | users[1])


def test_a_fixed_split_holds_out_what_is_named_and_shares_the_rest():
    data = generate().data
    whole = data.assemble()
    named = whole.positives.select(np.arange(whole.positives.n_pairs) % 5 == 0)
    seen = whole.negatives.select(np.arange(whole.negatives.n_pairs) % 7 == 0)
    for pairs in (named, seen):
        data.hold_out_for_test(pairs.users(), pairs.items)
    parts = data.to_interactions(SplitSettings(kind="fixed", validation=0.25))
    np.testing.assert_array_equal(parts.test.items, named.items)
    np.testing.assert_array_equal(parts.test_negatives.items, seen.items)
    rest = whole.positives.n_pairs - named.n_pairs
    assert parts.validation.n_pairs / rest == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("leave_one_out", "data.split.kind leave_one_out needs a time for every interaction"),
        ("temporal", "data.split.kind temporal needs a time"),
        ("fixed", "no test part of their own; use UserItemData.hold_out_for_test"),
    ],
)
def test_a_split_that_the_data_cannot_give_is_refused(kind, words):
    data = UserItemData("t")
    data.add_positive_interactions([1, 1], [1, 2], times=[1, 2])
    data.add_positive_interactions([1], [3])
    with pytest.raises(DataError, match=words):
        data.to_interactions(SplitSettings(kind=kind))


def test_fixed_candidates_need_lists():
    with pytest.raises(DataError, match="or candidates all, unseen or observed"):
        build(early_and_late()).to_interactions(candidates="fixed")


def test_candidates_are_in_the_record_and_the_fingerprint():
    data = build(early_and_late())
    data.add_test_candidates(range(10), [100] * 10)
    found = [data.to_interactions(candidates=kind) for kind in ("all", "observed", "fixed")]
    assert len({each.fingerprint for each in found}) == 3
    assert found[0].test_candidates is None
    assert found[1].split.endswith("; candidates: observed negatives")
    assert "; candidates: fixed lists" in found[2].split
    assert (found[2].item_ids[found[2].test_candidates.items] == 100).all()
    cold = dataclasses.replace(found[0], trainable_items=np.ones(found[0].n_items, bool))
    assert cold.fingerprint != found[0].fingerprint


def test_validation_lists_are_drawn_without_a_look_at_test():
    data = build(early_and_late())
    data._added.test.clear()
    users = np.repeat(np.arange(10), 40)
    items = np.tile(np.arange(100, 140), 10)
    data.add_test_candidates(users, items)
    parts = data.to_interactions(SplitSettings(kind="leave_one_out"), candidates="fixed")
    lists = parts.validation_candidates
    assert (lists.counts == 40).all()
    assert not lists.contains(parts.train).any()
    assert not lists.contains(parts.validation).any()
    assert lists.contains(parts.test).any()  # 44 items are left to draw 40 from


@given(st.integers(0, 50), st.floats(0, 1), st.integers(0, 14))
def test_draws_are_distinct_unknown_and_as_many_as_there_are(seed, share, count):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((20, 12)) < share)
    known = UserItems.from_pairs(users, items, n_users=20, n_items=12)
    drawn = draw_outside(known, np.full(20, count), rng)
    assert (drawn.counts == np.minimum(count, 12 - known.counts)).all()
    assert not known.contains(drawn).any()
    assert all((np.diff(drawn.of(u)) > 0).all() for u in range(20))


def test_draws_are_uniform():
    known = UserItems.from_pairs([0, 0, 0], [0, 3, 4], n_users=4000, n_items=6)
    known = UserItems(np.arange(4001) * 3, np.tile(known.items, 4000), 6)
    drawn = draw_outside(known, np.full(4000, 2), np.random.default_rng(0))
    counts = np.bincount(drawn.items, minlength=6)
    assert counts[[0, 3, 4]].sum() == 0
    assert np.abs(counts[[1, 2, 5]] / 8000 - 1 / 3).max() < 0.02


@pytest.mark.parametrize("held", ["validation", "test", "validation_negatives", "test_negatives"])
@pytest.mark.parametrize("known", ["train", "train_negatives"])
def test_a_held_out_pair_that_trains_is_named(held, known):
    data = generate().data.to_interactions()
    leaky = getattr(data, known).union(getattr(data, held).select(
        np.arange(getattr(data, held).n_pairs) < 2))  # fmt: skip
    with pytest.raises(DataError, match=rf"2 of \d+ pairs of {held} are in {known} too"):
        check_leakage(dataclasses.replace(data, **{known: leaky}))


def test_a_cold_item_that_trains_is_named():
    data = generate().data.to_interactions()
    mask = np.ones(data.n_items, bool)
    mask[data.train.items[0]] = False
    with pytest.raises(DataError, match="pairs of train are of items that are held out as a whole"):
        check_leakage(dataclasses.replace(data, trainable_items=mask))


def test_candidates_and_cold_items_are_saved_with_the_data():
    data = generate().data.to_interactions(
        SplitSettings(kind="cold_items"), candidates="observed"
    )  # fmt: skip
    again = unpack(*pack(data))
    assert again.fingerprint == data.fingerprint
    assert again.split == data.split


def test_a_repeated_pair_has_its_earliest_time():
    data = UserItemData("t")
    data.add_positive_interactions([1, 1, 1], [7, 8, 7], times=[5, 3, 4])
    data.add_positive_interactions([1], [7], times=[9])
    assert data.assemble().positive_times.tolist() == [4, 3]


def test_dates_are_times():
    data = UserItemData("t")
    data.add_positive_interactions(
        [1, 1], [1, 2], times=np.array(["1970-01-02", "1970-01-01"], "M8[D]")
    )
    assert data.assemble().positive_times.tolist() == [86400, 0]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([1.0, np.nan], "got nan in row 1"),
        (np.array(["2020-01-01", "NaT"], "M8[s]"), "got NaT in row 1"),
        ([1.0], "users has 2 rows, times is of shape"),
        (["now", "then"], "times must hold numbers, .* or ISO dates or times, .* got 'now'"),
    ],
)
def test_times_that_cannot_be_used_are_refused(times, words):
    with pytest.raises(DataError, match=words):
        UserItemData("t").add_positive_interactions([1, 2], [1, 2], times=times)


def test_times_test_part_and_lists_are_saved(tmp_path):
    data = build(early_and_late())
    data.add_test_candidates([0, 1], [7, 7])
    data.save(tmp_path / "d.npz")
    split = SplitSettings(kind="leave_one_out")
    again = UserItemData.load(tmp_path / "d.npz")
    for candidates in ("all", "fixed"):
        ours, theirs = (d.to_interactions(split, candidates=candidates) for d in (data, again))
        assert ours.fingerprint == theirs.fingerprint


def test_nothing_held_out_is_reported_before_training(caplog):
    data = UserItemData("t")
    data.add_positive_interactions(range(40), [user % 4 for user in range(40)], times=range(40))
    data.to_interactions(SplitSettings(kind="leave_one_out"))
    assert "t: nothing is held out for test" in caplog.text
    assert "needs users with two interactions" in caplog.text


def test_who_chose_everything_cannot_be_evaluated(caplog):
    build([(1, item, True, item) for item in range(20)]).to_interactions()
    assert "the only user with an item in the test part has no other candidate" in caplog.text
    assert "only 1 user has an item in the validation part" in caplog.text
