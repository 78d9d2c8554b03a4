"""Part interactions into train, validation and test.

Splits are pure functions of the content: rows in another order give the same parts. Where two
interactions of a user are of the same moment, their order is drawn from the seed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.data.assemble import Assembled
from hbpr.data.pairs import UserItems, blocks_of_rows
from hbpr.errors import DataError
from hbpr.settings.models import SplitSettings

_log = logging.getLogger(__name__)

Three = tuple[UserItems, UserItems, UserItems]


@dataclass(frozen=True)
class Parts:
    """A split: train, validation and test of the positives and of the observed negatives.

    Attributes:
        positives: The three parts.
        negatives: The three parts.
        text: The split in words.
        trainable_items: (I,) items that training may meet; None: all.
    """

    positives: Three
    negatives: Three
    text: str
    trainable_items: NDArray[np.bool_] | None = None


def random(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Part each user's items at random, positives and negatives alike."""
    del name
    positives = split_random(
        whole.positives,
        train=split.train,
        validation=split.validation,
        rng=np.random.default_rng([split.seed, 0]),
        keep_one=True,
    )
    negatives = split_random(
        whole.negatives,
        train=split.train,
        validation=split.validation,
        rng=np.random.default_rng([split.seed, 1]),
        keep_one=False,
    )
    return Parts(positives, negatives, f"random {_shares(split)}, seed {split.seed}")


def leave_one_out(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Hold out each user's latest positive for test and the one before for validation.

    A user with two positives has none in validation, one with a single one learns it. Where the
    data name their test part, that is taken, and validation is the latest of the rest. An observed
    negative is learnt if it is older than all that is held out of its user, else it goes with
    validation, or with test from the moment of the test item on.
    """
    times, negative_times = _needed_times(name, whole, split.kind)
    positives = whole.positives
    rng = np.random.default_rng([split.seed, 0])
    if whole.test is None:
        in_test = _latest(positives, times, rng, at_least=2)
    else:
        in_test = whole.test.contains(positives)
    rest = positives.select(~in_test)
    in_validation = np.zeros(positives.n_pairs, bool)
    in_validation[~in_test] = _latest(rest, times[~in_test], rng, at_least=2)
    moment = np.full((2, positives.n_users), np.inf)
    users = positives.users()
    for row, mask in enumerate((in_validation, in_test)):
        moment[row, users[mask]] = times[mask]
    at_user = whole.negatives.users()
    after_validation = negative_times >= moment.min(axis=0)[at_user]
    after_test = negative_times >= moment[1][at_user]
    return Parts(
        _select(positives, in_validation, in_test),
        _select(whole.negatives, after_validation & ~after_test, after_test),
        f"leave one out, {'latest' if whole.test is None else 'published'} as test, "
        f"seed {split.seed}",
    )


def temporal(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Part everything at two moments: train is before the first, test from the second on.

    The moments are quantiles of the positives' times; interactions of one moment stay together,
    so shares are near those asked for where times are coarse.
    """
    times, negative_times = _needed_times(name, whole, split.kind)
    ordered = np.sort(times)
    first, second = (
        ordered[min(len(ordered) - 1, round(len(ordered) * share))]
        for share in (split.train, split.train + split.validation)
    )
    positives, negatives = (
        _select(pairs, (at >= first) & (at < second), at >= second)
        for pairs, at in ((whole.positives, times), (whole.negatives, negative_times))
    )
    if positives[0].n_pairs == 0:
        raise DataError(
            f"{name}: data.split.kind temporal: nothing is before the moment {first:g}, since the "
            f"times have only {len(np.unique(times))} distinct values; use another split"
        )
    known = positives[0].counts > 0
    n_new = int(((positives[1].counts + positives[2].counts > 0) & ~known).sum())
    if n_new:
        _log.info("%s: %d users are held out without an interaction in train", name, n_new)
    n = whole.positives.n_pairs
    real = "/".join(f"{part.n_pairs / n:.3g}" for part in positives)
    return Parts(positives, negatives, f"temporal {real}, before {first:.10g} and {second:.10g}")


def cold_items(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Hold out whole items: all that is known of them, and them as negatives that train."""
    del name
    group = _groups(whole.positives.n_items, split)
    positives, negatives = (
        _select(pairs, group[pairs.items] == 1, group[pairs.items] == 2)
        for pairs in (whole.positives, whole.negatives)
    )
    text = f"cold items {_shares(split)}, seed {split.seed}"
    return Parts(positives, negatives, text, trainable_items=group == 0)


def cold_users(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Hold out whole users: all that is known of them."""
    del name
    group = _groups(whole.positives.n_users, split)
    positives, negatives = (
        _select(pairs, group[pairs.users()] == 1, group[pairs.users()] == 2)
        for pairs in (whole.positives, whole.negatives)
    )
    return Parts(positives, negatives, f"cold users {_shares(split)}, seed {split.seed}")


def fixed(name: str, whole: Assembled, split: SplitSettings) -> Parts:
    """Take the pairs named for test, and part the others at random within each user."""
    if whole.test is None:
        raise DataError(
            f"{name}: data.split.kind fixed: the data have no test part of their own; use "
            "UserItemData.hold_out_for_test, or another kind"
        )
    rest = []
    for row, pairs in enumerate((whole.positives, whole.negatives)):
        in_test = whole.test.contains(pairs)
        kept = pairs.select(~in_test)
        train, _, _ = split_random(
            kept,
            train=1.0 - split.validation,
            validation=0.0,
            rng=np.random.default_rng([split.seed, row]),
            keep_one=row == 0,
        )
        validation = kept.select(~train.contains(kept))
        rest.append((train, validation, pairs.select(in_test)))
    text = f"published {split.name or 'split'}, {split.validation:.4g} of train for validation"
    return Parts(rest[0], rest[1], f"{text}, seed {split.seed}")


#: The splits by the names of `SplitSettings`.
SPLITS: Final[dict[str, Callable[[str, Assembled, SplitSettings], Parts]]] = {
    "random": random,
    "leave_one_out": leave_one_out,
    "temporal": temporal,
    "cold_items": cold_items,
    "cold_users": cold_users,
    "fixed": fixed,
}


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
    part = np.empty(pairs.n_pairs, np.int8)
    for first, last in blocks_of_rows(pairs.indptr):
        here = slice(pairs.indptr[first], pairs.indptr[last])
        rank = _random_ranks(counts[first:last], rng)
        part[here] = rank >= np.repeat(n_train[first:last], counts[first:last])
        part[here] += rank >= np.repeat(n_kept[first:last], counts[first:last])
    return pairs.select(part == 0), pairs.select(part == 1), pairs.select(part == 2)


def _random_ranks(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_pairs,) place, from 0, of each pair in a random order of its user's items.

    The draws of blocks of users, one after the other, are those of all at once.
    """
    starts = np.cumsum(counts) - counts
    keys = np.repeat(np.arange(len(counts)), counts) << 31
    keys |= rng.integers(0, 2**31, len(keys))
    order = np.argsort(keys, kind="stable")
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.repeat(starts, counts)
    return ranks


def _latest(
    pairs: UserItems, times: NDArray[np.float64], rng: np.random.Generator, *, at_least: int
) -> NDArray[np.bool_]:
    """(n_pairs,) whether a pair is its user's latest, a tie in time drawn at random.

    Users with fewer pairs than `at_least` have none.
    """
    order = np.lexsort((rng.random(pairs.n_pairs), times, pairs.users()))
    chosen = np.zeros(pairs.n_pairs, bool)
    chosen[order[pairs.indptr[1:][pairs.counts >= at_least] - 1]] = True
    return chosen


def _groups(n: int, split: SplitSettings) -> NDArray[np.int8]:
    """(n,) part of each whole item or user: 0 train, 1 validation, 2 test."""
    places = np.random.default_rng([split.seed, 0]).permutation(n)
    n_train = max(1, round(n * split.train))
    n_kept = max(n_train, round(n * (split.train + split.validation)))
    return ((places >= n_train).astype(np.int8) + (places >= n_kept)).astype(np.int8)


def _select(
    pairs: UserItems, in_validation: NDArray[np.bool_], in_test: NDArray[np.bool_]
) -> Three:
    return (
        pairs.select(~in_validation & ~in_test),
        pairs.select(in_validation),
        pairs.select(in_test),
    )


def _needed_times(
    name: str, whole: Assembled, kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if whole.positive_times is None or whole.negative_times is None:
        raise DataError(
            f"{name}: data.split.kind {kind} needs a time for every interaction, and some have "
            "none; give times, or use random, cold_items or cold_users"
        )
    return whole.positive_times, whole.negative_times


def _shares(split: SplitSettings) -> str:
    left = 1.0 - split.train - split.validation
    return f"{split.train:.4g}/{split.validation:.4g}/{left:.4g}"
