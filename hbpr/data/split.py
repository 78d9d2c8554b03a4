"""Part interactions into train, validation and test."""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems


def split_random(
    pairs: UserItems,
    *,
    train: float,
    validation: float,
    rng: np.random.Generator,
    keep_one: bool,
) -> tuple[UserItems, UserItems, UserItems]:
    """Part each user's items at random.

    A user with n items gets ``floor(n * train + x)`` of them in train and
    ``floor(n * (train + validation) + x)`` in train and validation together, with one x drawn
    from [0, 1) for the user: each part gets its exact share on average, also over users with only
    a few items, and a user's count is never more than one off.

    Args:
        pairs: What is parted; only its content matters, so the order of input rows does not.
        train: Share of train, above 0.
        validation: Share of validation; the test part gets what is left.
        rng: Source of all randomness.
        keep_one: Keep at least one item of every user that has any in train. It makes train
            larger than its share where users have fewer than ``1 / train`` items.

    Returns:
        Train, validation and test: disjoint, together all of `pairs`.
    """
    counts = pairs.counts
    offset = rng.random(len(counts))
    n_train = np.floor(counts * train + offset).astype(np.int64)
    if keep_one:
        n_train = np.maximum(n_train, np.minimum(counts, 1))
    n_kept = np.maximum(np.floor(counts * (train + validation) + offset).astype(np.int64), n_train)
    rank = _random_ranks(pairs, rng)
    in_train = rank < np.repeat(n_train, counts)
    in_test = rank >= np.repeat(n_kept, counts)
    return pairs.select(in_train), pairs.select(~in_train & ~in_test), pairs.select(in_test)


def _random_ranks(pairs: UserItems, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_pairs,) place, from 0, of each pair in a random order of its user's items."""
    keys = pairs.users().astype(np.int64) << 31
    keys |= rng.integers(0, 2**31, pairs.n_pairs)
    order = np.argsort(keys, kind="stable")
    ranks = np.empty(pairs.n_pairs, np.int64)
    ranks[order] = np.arange(pairs.n_pairs) - np.repeat(pairs.indptr[:-1], pairs.counts)
    return ranks
