"""Number what was added to a dataset and build its matrices."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbpr.data.added import Added, Pairs, Shown, Side, Triples
from hbpr.data.ids import Coded, catalogue
from hbpr.data.interactions import Exposures, Features
from hbpr.data.pairs import UserItems, reduced
from hbpr.errors import DataError

_log = logging.getLogger(__name__)

Indices = list[NDArray[np.int32]]
#: A value of each pair, such as its time; None: some are not known.
_Values = NDArray[np.float64] | None


@dataclass(frozen=True)
class Assembled:
    """Everything that was added, numbered. No pair is both positive and negative.

    Times and propensities are those of the pairs of the same sign, the earliest and the highest
    where a pair was repeated; None where any row came without one. `test`, `candidates` and
    `pages`, with the id of each page, are None unless they were given; negatives hold what is on
    pages and is no positive. `merged` counts the rows that became no pair of their own, by reason.
    """

    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    positives: UserItems
    negatives: UserItems
    user_features: Features
    item_features: Features
    user_labels: list[NDArray[Any]]
    item_labels: list[NDArray[Any]]
    positive_times: NDArray[np.float64] | None = None
    negative_times: NDArray[np.float64] | None = None
    test: UserItems | None = None
    candidates: UserItems | None = None
    pages: Exposures | None = None
    page_ids: NDArray[Any] | None = None
    positive_propensities: NDArray[np.float64] | None = None
    negative_propensities: NDArray[np.float64] | None = None
    merged: Mapping[str, int] = field(default_factory=dict)


def assemble(name: str, added: Added) -> Assembled:
    """Number all ids and build the matrices.

    A pair that is both positive and negative stays positive only; one that is on a page and is
    neither becomes a negative, of weight 1 where negatives have weights. What was repeated or
    contradictory is counted in the result, what has no features in the log.

    Args:
        name: Name of the dataset, for the log.
        added: The rows of all calls.
    """
    seen = [each.pairs for each in added.shown]
    groups = (added.positives, added.negatives, added.test, added.candidates, seen)
    user_triples, item_triples = added.features["user"], added.features["item"]
    user_ids, users, described_users = _numbered(
        [[chunk.users for chunk in group] for group in groups], [t.ids for t in user_triples]
    )
    item_ids, items, described_items = _numbered(
        [[chunk.items for chunk in group] for group in groups], [t.ids for t in item_triples]
    )
    shape = (len(user_ids), len(item_ids))
    liked, disliked, held_out, listed, met = (
        _merge(*rows, shape) for rows in zip(groups, users, items, strict=True)
    )
    logged = (groups[0], groups[1], seen)
    places = ((users[0], items[0]), (users[1], items[1]), (users[-1], items[-1]))
    times = [_times(*at, shape) for at in zip(logged, places, strict=True)]
    propensities = [_propensities(name, *at, shape) for at in zip(logged, places, strict=True)]
    both = liked.contains(disliked)
    passed = ~liked.contains(met) & ~disliked.contains(met)
    user_features, user_labels = _matrix(name, "user", user_triples, described_users, shape[0])
    item_features, item_labels = _matrix(name, "item", item_triples, described_items, shape[1])
    if passed.any():
        _log.info(
            "%s: %d pairs shown on a page and never chosen, kept as negative", name, passed.sum()
        )
    weighted = liked.weights is not None or disliked.weights is not None
    merged = {
        "repeated (their weights add up)" if weighted else "repeated": (
            _n_rows(users[0]) - liked.n_pairs + _n_rows(users[1]) - disliked.n_pairs
        ),
        "both liked and disliked (they stay positive)": int(both.sum()),
    }
    rejected, others = disliked.select(~both), met.select(passed)
    rejected_values = [_where(each[1], ~both) for each in (times, propensities)]
    if passed.any():
        rejected_values = [
            _values_of_both(rejected, one, others, _where(each[2], passed))
            for one, each in zip(rejected_values, (times, propensities), strict=True)
        ]
        rejected = rejected.union(others)
    pages, page_ids = _pages(added.shown, users[-1], items[-1], shape[1])
    return Assembled(
        user_ids=user_ids,
        item_ids=item_ids,
        positives=liked,
        negatives=rejected,
        user_features=user_features,
        item_features=item_features,
        user_labels=user_labels,
        item_labels=item_labels,
        positive_times=times[0],
        negative_times=rejected_values[0],
        positive_propensities=propensities[0],
        negative_propensities=rejected_values[1],
        test=held_out if added.test else None,
        candidates=listed if added.candidates else None,
        pages=pages,
        page_ids=page_ids,
        merged={reason: n for reason, n in merged.items() if n},
    )


def _numbered(
    groups: Sequence[Sequence[Coded]], described: Sequence[Coded]
) -> tuple[NDArray[Any], list[Indices], Indices]:
    """The ids of one side, the index of every row call by call for each group, and for features."""
    ids, rows = catalogue([*chain.from_iterable(groups), *described])
    left = iter(rows)
    return ids, [list(islice(left, len(group))) for group in groups], list(left)


def _pages(
    chunks: Sequence[Shown], users: Indices, items: Indices, n_items: int
) -> tuple[Exposures | None, NDArray[Any] | None]:
    """What each user was shown on each page id, and the id."""
    if not chunks:
        return None, None
    ids, pages = catalogue(chunk.pages for chunk in chunks)
    keys = np.concatenate(users).astype(np.int64) * len(ids) + np.concatenate(pages)
    distinct, rows = np.unique(keys, return_inverse=True)
    shown = UserItems.from_pairs(
        rows, np.concatenate(items), n_users=len(distinct), n_items=n_items
    )
    return Exposures(distinct // len(ids), shown), ids[distinct % len(ids)]


def _values_of_both(
    one: UserItems, one_values: _Values, other: UserItems, other_values: _Values
) -> _Values:
    """One value for each pair of the union of two sets without a common pair."""
    if one_values is None or other_values is None:
        return None
    pairs = one.union(other)
    values = np.empty(pairs.n_pairs)
    first = one.contains(pairs)
    values[first], values[~first] = one_values, other_values
    return values


def _where(times: _Values, mask: NDArray[np.bool_]) -> _Values:
    return None if times is None else times[mask]


def _times(
    chunks: Sequence[Pairs], rows: tuple[Indices, Indices], shape: tuple[int, int]
) -> _Values:
    """Earliest time of each distinct pair, in the order of the matrix; None if one is missing."""
    given = [chunk.times for chunk in chunks if chunk.times is not None]
    if len(given) < len(chunks):
        return None
    if not given:
        return np.zeros(0)
    return reduced(_one(rows[0]), _one(rows[1]), _one(given), np.minimum, shape)


def _propensities(
    name: str, chunks: Sequence[Pairs], rows: tuple[Indices, Indices], shape: tuple[int, int]
) -> _Values:
    """Highest propensity of each distinct pair, in the order of the matrix; None: not known.

    Raises:
        DataError: Only some are known.
    """
    given = [chunk.propensities for chunk in chunks if chunk.propensities is not None]
    if not given:
        return None if chunks else np.zeros(0)
    if len(given) < len(chunks):
        raise DataError(f"{name}: give all interactions a propensity, or none")
    return reduced(_one(rows[0]), _one(rows[1]), _one(given), np.maximum, shape)


def _matrix(
    name: str, side: Side, triples: Sequence[Triples], rows: Indices, n_rows: int
) -> tuple[Features, list[NDArray[Any]]]:
    """Features of a side, and its labels: one array a kind, in the order of columns.

    Own features are a kind apart: item 1's own vector is not that of a category 1.
    """
    if not triples:
        return Features.identity(n_rows), []
    columns: Indices = [np.zeros(0, np.int32)] * len(triples)
    labels: list[NDArray[Any]] = []
    width = 0
    for kind in dict.fromkeys((t.own, t.labels.kind) for t in triples):
        calls = [i for i, t in enumerate(triples) if (t.own, t.labels.kind) == kind]
        distinct, indices = catalogue(triples[i].labels for i in calls)
        for i, index in zip(calls, indices, strict=True):
            columns[i] = index + width
        labels.append(distinct)
        width += len(distinct)
    matrix = _merge(triples, rows, columns, (n_rows, width))
    repeated = _n_rows(rows) - matrix.n_pairs
    if repeated:
        _log.info("%s: %d repeated %s feature rows", name, repeated, side)
    without = int((matrix.counts == 0).sum())
    if without:
        _log.warning(
            "%s: %d of %d %ss have no feature, so they score 0", name, without, n_rows, side
        )
    values = np.ones(matrix.n_pairs, np.float32) if matrix.weights is None else matrix.weights
    return Features(matrix.indptr, matrix.items, values, width), labels


def _merge(
    chunks: Sequence[Pairs | Triples], rows: Indices, columns: Indices, shape: tuple[int, int]
) -> UserItems:
    """One matrix of several calls; a call without weights weighs 1 beside one that has some."""
    if not chunks:
        return UserItems.empty(*shape)
    weights = None
    if any(chunk.weights is not None for chunk in chunks):
        weights = np.concatenate(
            [
                np.ones(len(row), np.float32) if chunk.weights is None else chunk.weights
                for chunk, row in zip(chunks, rows, strict=True)
            ]
        )
    return UserItems.from_pairs(
        _one(rows),
        _one(columns),
        n_users=shape[0],
        n_items=shape[1],
        weights=weights,
    )


def _one(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """All arrays as one; a single one is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _n_rows(rows: Indices) -> int:
    return sum(map(len, rows))
