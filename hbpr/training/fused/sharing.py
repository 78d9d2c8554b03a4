"""Features that several users or items share, inside compiled loops.

A row has at most one feature that no other row has, its own, and may share others. What is shared
moves once in a while and not with every triple: the gradients of the rows are added up, and after
some triples every shared feature takes one step along their sum. Where rows often share the same
features, as films do genres, the sum of these features' vectors is kept until the next step, so
that a row costs the same however many features it has; else the vector of each is a sum of one.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hbpr.data.interactions import Features
from hbpr.training.fused.steps import adagrad_step, sgd_step
from hbpr.training.losses.compiled import FAST

#: Most triples between two steps of shared features. Adagrad's steps are as long however many
#: gradients are added up; those of SGD grow with them.
_MOST_ADAGRAD: Final = 2_048
_MOST_SGD: Final = 64
#: Steps that shared features take in an epoch at least, where there are positives enough.
_LEAST_STEPS: Final = 128


class SplitFeatures(NamedTuple):
    """Features of users or items; a row is its own feature and some sums of shared ones.

    Attributes:
        own: (rows,) int64 a feature that only this row has; 0 where there is none.
        weight: (rows,) float32 weight of that feature; 0 where there is none.
        indptr: (rows + 1,) int64 CSR start of each row's sums.
        sums: int64 numbers of the sums.
        weights: float32 their weights.
        starts: (n_sums + 1,) int64 CSR start of each sum's features.
        places: int64 places in `features`.
        values: float32 weights of the features in the sums.
        features: (n_shared,) int64 the shared features.
    """

    own: NDArray[np.int64]
    weight: NDArray[np.float32]
    indptr: NDArray[np.int64]
    sums: NDArray[np.int64]
    weights: NDArray[np.float32]
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    values: NDArray[np.float32]
    features: NDArray[np.int64]


def split_features(features: Features, visits: int) -> SplitFeatures:
    """Part what only one row has from what rows share.

    Args:
        features: Of users or of items.
        visits: Rows that are met between two steps of what is shared; sums of several features
            are kept where that costs less.
    """
    n_rows = features.n_rows
    rows = np.repeat(np.arange(n_rows), np.diff(features.indptr))
    counts = np.bincount(features.indices, minlength=features.n_features)
    alone = np.flatnonzero(counts[features.indices] == 1)
    owners, first = np.unique(rows[alone], return_index=True)
    taken = alone[first]
    own, weight = np.zeros(n_rows, np.int64), np.zeros(n_rows, np.float32)
    own[owners], weight[owners] = features.indices[taken], features.values[taken]
    rest = np.delete(np.arange(len(rows)), taken)
    rows, values = rows[rest], features.values[rest]
    shared, places = np.unique(features.indices[rest].astype(np.int64), return_inverse=True)
    lengths = np.bincount(rows, minlength=n_rows)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    numbers, firsts = _patterns(indptr, places, values)
    entries = np.concatenate(
        [np.zeros(0, np.int64), *(np.arange(indptr[r], indptr[r + 1]) for r in firsts)]
    )
    if 2 * len(entries) <= visits:
        has = lengths > 0
        return SplitFeatures(
            own,
            weight,
            np.concatenate([[0], np.cumsum(has)]),
            numbers[has],
            np.ones(int(has.sum()), np.float32),
            np.concatenate([[0], np.cumsum(lengths[firsts])]),
            places[entries],
            values[entries],
            shared,
        )
    each = np.arange(len(shared) + 1)
    ones = np.ones(len(shared), np.float32)
    return SplitFeatures(own, weight, indptr, places, values, each, each[:-1], ones, shared)


def _patterns(
    indptr: NDArray[np.int64], places: NDArray[np.int64], values: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of each row's pattern, and the first row of each, of those that share anything."""
    known: dict[bytes, int] = {}
    numbers = np.zeros(len(indptr) - 1, np.int64)
    firsts: list[int] = []
    for row in np.flatnonzero(np.diff(indptr)):
        entries = slice(indptr[row], indptr[row + 1])
        key = places[entries].tobytes() + values[entries].tobytes()
        numbers[row] = known.setdefault(key, len(known))
        if len(firsts) < len(known):
            firsts.append(int(row))
    return numbers, np.array(firsts, np.int64)


def stride_of(n_positives: int, *, adagrad: bool) -> int:
    """Triples between two steps of shared features."""
    return max(1, min(_MOST_ADAGRAD if adagrad else _MOST_SGD, n_positives // _LEAST_STEPS))


class Kept(NamedTuple):
    """What is kept between two steps of shared features.

    Attributes:
        vectors: (n_sums, k) float32 the sums.
        gradients: (n_sums, k) float32 gradients of the sums, added up.
        met: (n_sums,) bool whether there are any.
        steps: (n_shared, k) float32 scratch for the gradients of the features, all zero.
        moved: (n_shared,) bool scratch, all false.
    """

    vectors: Any
    gradients: Any
    met: Any
    steps: Any
    moved: Any


@njit(cache=True, error_model="numpy")
def keep(W: Any, shared: Any) -> Any:
    """Return the sums for features with vectors ``W``, before any gradient."""
    n, m, k = shared.starts.shape[0] - 1, shared.features.shape[0], W.shape[1]
    kept = Kept(
        np.empty((n, k), np.float32),
        np.zeros((n, k), np.float32),
        np.zeros(n, np.bool_),
        np.zeros((m, k), np.float32),
        np.zeros(m, np.bool_),
    )
    for s in range(n):
        _add_up(W, shared, kept, s)
    return kept


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _add_up(W: Any, shared: Any, kept: Any, s: Any) -> None:
    """Write the sum of its features' vectors to ``kept.vectors[s]``."""
    vectors = kept.vectors
    for f in range(vectors.shape[1]):
        vectors[s, f] = np.float32(0.0)
    for entry in range(shared.starts[s], shared.starts[s + 1]):
        row = shared.features[shared.places[entry]]
        value = shared.values[entry]
        for f in range(vectors.shape[1]):
            vectors[s, f] += value * W[row, f]


@njit(cache=True, fastmath=set(FAST), error_model="numpy")
def move(W: Any, W2: Any, shared: Any, kept: Any, adagrad: Any, lr: Any) -> None:  # noqa: C901 - a compiled kernel
    """Move the shared features along the gradients added up, and what is kept with them."""
    gradients, steps = kept.gradients, kept.steps
    for s in range(kept.met.shape[0]):
        if kept.met[s]:
            kept.met[s] = False
            for entry in range(shared.starts[s], shared.starts[s + 1]):
                k = shared.places[entry]
                value = shared.values[entry]
                kept.moved[k] = True
                for f in range(steps.shape[1]):
                    steps[k, f] += value * gradients[s, f]
            for f in range(steps.shape[1]):
                gradients[s, f] = np.float32(0.0)
    for k in range(kept.moved.shape[0]):
        if kept.moved[k]:
            if adagrad:
                adagrad_step(W, W2, shared.features[k], steps, k, np.float32(1.0), lr)
            else:
                sgd_step(W, shared.features[k], steps, k, np.float32(1.0), lr)
            for f in range(steps.shape[1]):
                steps[k, f] = np.float32(0.0)
    for s in range(kept.met.shape[0]):
        stale = False
        for entry in range(shared.starts[s], shared.starts[s + 1]):
            stale |= kept.moved[shared.places[entry]]
        if stale:
            _add_up(W, shared, kept, s)
    kept.moved[:] = False
