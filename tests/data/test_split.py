import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data import UserItems
from hbpr.data.split import split_random

SHARES = st.tuples(st.floats(0.05, 0.9), st.floats(0.0, 0.6)).filter(lambda s: sum(s) < 0.99)


def random_pairs(seed: int, n_users: int, n_items: int, share: float) -> UserItems:
    users, items = np.nonzero(np.random.default_rng(seed).random((n_users, n_items)) < share)
    return UserItems.from_pairs(users, items, n_users=n_users, n_items=n_items)


def split(pairs, train=0.8, validation=0.1, seed=0, keep_one=True):
    return split_random(
        pairs,
        train=train,
        validation=validation,
        rng=np.random.default_rng(seed),
        keep_one=keep_one,
    )


@given(st.integers(0, 99), SHARES, st.floats(0.0, 1.0), st.booleans())
def test_parts_are_disjoint_and_together_everything(seed, shares, density, keep_one):
    pairs = random_pairs(seed, 20, 12, density)
    parts = split(pairs, *shares, seed=seed, keep_one=keep_one)
    assert sum(part.n_pairs for part in parts) == pairs.n_pairs
    total = sum(part.to_csr().toarray() for part in parts)
    assert (total == pairs.to_csr().toarray()).all()
    if keep_one:
        assert (parts[0].counts >= np.minimum(pairs.counts, 1)).all()


@given(st.integers(0, 99), SHARES)
def test_a_user_is_never_more_than_one_item_off(seed, shares):
    pairs = random_pairs(seed, 20, 30, 0.5)
    train, validation, test = split(pairs, *shares, seed=seed, keep_one=False)
    left = 1 - sum(shares)
    for part, share in ((train, shares[0]), (validation, shares[1]), (test, left)):
        assert (abs(part.counts - pairs.counts * share) < 1 + 1e-9).all()


def test_exact_counts_where_they_divide():
    pairs = random_pairs(0, 50, 20, 1.0)
    for part, count in zip(split(pairs), (16, 2, 2), strict=True):
        assert (part.counts == count).all()


@pytest.mark.parametrize("per_user", [2, 3, 5, 7])
def test_small_users_give_validation_and_test_their_share(per_user):
    n_users = 20_000
    users = np.repeat(np.arange(n_users), per_user)
    items = np.tile(np.arange(per_user), n_users)
    pairs = UserItems.from_pairs(users, items, n_users=n_users, n_items=per_user)
    train, validation, test = split(pairs)
    assert train.n_pairs / pairs.n_pairs == pytest.approx(0.8, abs=0.01)
    assert validation.n_pairs / pairs.n_pairs == pytest.approx(0.1, abs=0.01)
    assert test.n_pairs / pairs.n_pairs == pytest.approx(0.1, abs=0.01)
    # which item is held out does not depend on its number
    held_out = np.bincount(test.items, minlength=per_user)
    assert held_out.min() / held_out.max() > 0.8


def test_a_single_item_stays_in_train():
    pairs = UserItems.from_pairs(np.arange(500), np.zeros(500), n_users=500, n_items=1)
    assert [part.n_pairs for part in split(pairs, 0.1, 0.4)] == [500, 0, 0]


def test_the_seed_alone_decides():
    pairs = random_pairs(1, 40, 30, 0.4)
    same, again, other = split(pairs, seed=3), split(pairs, seed=3), split(pairs, seed=4)
    assert (same[2].items == again[2].items).all()
    assert not np.array_equal(same[2].items, other[2].items)


def test_without_a_validation_share_validation_is_empty():
    pairs = random_pairs(1, 40, 30, 0.4)
    train, validation, test = split(pairs, 0.8, 0.0)
    assert validation.n_pairs == 0
    assert train.n_pairs + test.n_pairs == pairs.n_pairs


def test_weights_go_with_their_pairs():
    items = np.arange(100)
    pairs = UserItems.from_pairs(np.zeros(100), items, n_users=1, n_items=100, weights=items + 1.0)
    for part in split(pairs):
        assert (part.weights == part.items + 1.0).all()


def test_nothing_to_split():
    assert [part.n_pairs for part in split(UserItems.empty(3, 4))] == [0, 0, 0]
