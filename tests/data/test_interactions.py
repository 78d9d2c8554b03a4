import dataclasses
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data import Features, Interactions, UserItems
from hbpr.data import pairs as merging

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=40)


def build(pairs: list[tuple[int, int]], weights: list[float] | None = None) -> UserItems:
    users, items = np.array(pairs, np.int64).reshape(-1, 2).T
    return UserItems.from_pairs(users, items, n_users=7, n_items=5, weights=weights)


def as_set(pairs: UserItems) -> set[tuple[int, int]]:
    return set(zip(pairs.users().tolist(), pairs.items.tolist(), strict=True))


@given(PAIRS)
def test_from_pairs_holds_each_pair_once_and_sorted(pairs):
    built = build(pairs)
    assert as_set(built) == set(pairs)
    assert built.n_pairs == len(set(pairs))
    for user in range(7):
        assert built.of(user).tolist() == sorted({i for u, i in pairs if u == user})
    assert built.counts.tolist() == [len({i for u, i in pairs if u == x}) for x in range(7)]


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 12))
def test_blocks_of_users_part_all_rows_in_their_order(users, most):
    rows = np.array(users, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_ROWS", most)
        blocks = [np.arange(len(rows))[each] for each in merging.blocks_of_users(rows, 31)]
    assert sorted(np.concatenate(blocks).tolist()) == list(range(len(rows)))
    last = -1
    for block in blocks:
        assert (np.diff(block) > 0).all()
        if len(block):
            assert rows[block].min() > last
            last = rows[block].max()
        assert len(block) <= most or len(set(rows[block].tolist())) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 9)), max_size=40))
def test_weights_of_repeated_pairs_add_up_like_scipy(rows):
    users, items, weights = np.array(rows, np.int64).reshape(-1, 3).T
    built = UserItems.from_pairs(users, items, n_users=7, n_items=5, weights=weights)
    expected = sp.coo_matrix((weights, (users, items)), shape=(7, 5)).toarray()
    assert (built.to_csr().toarray() == expected).all()


@given(PAIRS, PAIRS)
def test_union_and_contains_are_those_of_sets(left, right):
    a, b = build(left), build(right)
    assert as_set(a.union(b)) == set(left) | set(right)
    inside = a.contains(b)
    assert as_set(b.select(inside)) == set(left) & set(right)
    assert as_set(b.select(~inside)) == set(right) - set(left)


def test_select_keeps_weights_and_shape():
    built = build([(0, 1), (2, 0), (2, 3)], [1.0, 2.0, 3.0])
    kept = built.select(np.array([False, True, True]))
    assert (kept.n_users, kept.n_items, kept.weights.tolist()) == (7, 5, [2.0, 3.0])
    assert kept.of(2).tolist() == [0, 3]


def test_union_of_weighted_and_unweighted_counts_one_for_the_unweighted():
    union = build([(0, 1)]).union(build([(0, 1), (1, 1)], [2.0, 5.0]))
    assert union.weights.tolist() == [3.0, 5.0]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=80),
    shares=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)),
    seed=st.integers(0, 9),
)
def test_thinned_leaves_a_share_of_each_user_and_smaller_shares_lie_in_larger(pairs, shares, seed):
    users, items = np.array(pairs, np.int64).reshape(-1, 2).T
    whole = UserItems.from_pairs(users, items, n_users=7, n_items=31)
    less, more = (whole.thinned(share, seed) for share in sorted(shares))
    for share, part in zip(sorted(shares), (less, more), strict=True):
        assert part.counts.tolist() == [math.ceil(share * n - 1e-9) for n in whole.counts]
        assert whole.contains(part).all()
    assert more.contains(less).all()
    assert np.array_equal(whole.thinned(1.0, seed).items, whole.items)


def test_thinned_keeps_weights_with_their_pairs():
    weights = np.arange(1, 41, dtype=np.float32)
    whole = UserItems.from_pairs(
        np.repeat([0, 1], 20), np.tile(np.arange(20), 2), n_users=2, n_items=20, weights=weights
    )
    part = whole.thinned(0.3, seed=1)
    assert part.weights.tolist() == (1 + 20 * part.users() + part.items).tolist()
    assert part.counts.tolist() == [6, 6]
    assert not np.array_equal(part.items, whole.thinned(0.3, seed=2).items)


def test_empty_has_no_pair():
    empty = UserItems.empty(3, 2)
    assert (empty.n_users, empty.n_items, empty.n_pairs) == (3, 2, 0)
    assert empty.to_csr().shape == (3, 2)


def test_identity_is_known_as_such_and_nothing_else_is():
    assert Features.identity(4).is_identity
    assert not Features.from_csr(sp.eye(4, 5)).is_identity
    assert not Features.from_csr(2 * sp.eye(4)).is_identity
    assert not Features.from_csr(sp.csr_matrix(np.eye(4)[[1, 0, 2, 3]])).is_identity


def test_features_survive_the_way_through_scipy():
    matrix = sp.random(5, 7, 0.4, random_state=0, dtype=np.float32)
    assert (Features.from_csr(matrix).to_csr().toarray() == matrix.toarray()).all()


@pytest.fixture
def data() -> Interactions:
    parts = [build([(u, i)]) for u, i in ((0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2))]
    identity = Features.identity
    return Interactions("d", *parts, identity(7), identity(5), np.arange(7), np.arange(5))


def test_refit_moves_validation_into_train_and_leaves_test(data):
    refit = data.refit_on_validation()
    assert as_set(refit.train) == {(0, 1), (0, 2)}
    assert as_set(refit.train_negatives) == {(1, 0), (1, 1)}
    assert refit.validation.n_pairs == refit.validation_negatives.n_pairs == 0
    assert refit.test is data.test


def test_fingerprint_changes_with_every_part_that_numbers_depend_on(data):
    same = dataclasses.replace(data, name="another name")
    assert same.fingerprint == data.fingerprint
    changes = [
        {part: build([(3, 3)])} for part in ("train", "validation", "test", "train_negatives")
    ]
    changes.append({"train": build([(0, 1)], [2.0])})
    changes.append({"item_features": Features.from_csr(2 * sp.eye(5))})
    prints = {dataclasses.replace(data, **change).fingerprint for change in changes}
    assert len(prints | {data.fingerprint}) == len(changes) + 1
