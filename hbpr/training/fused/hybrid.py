"""The compiled epoch where users and items are sums of the vectors of their features.

The loop is that of `onehot`; a row of a user or an item is here the weighted sum of its features'
rows, and a step goes to each of them in proportion to its weight.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import njit

from hbpr.training.fused.draws import draw_ahead, mark_positives, order_positives
from hbpr.training.fused.gradients import FAST, WARP, inverse_root, slopes
from hbpr.training.fused.onehot import AHEAD


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _combine(
    weights: Any, indptr: Any, indices: Any, values: Any, row: Any, out: Any, k: Any
) -> None:
    """Write the weighted sum of the feature vectors of `row` to ``out[k]``."""
    for f in range(out.shape[1]):
        out[k, f] = np.float32(0.0)
    for entry in range(indptr[row], indptr[row + 1]):
        feature = indices[entry]
        value = values[entry]
        for f in range(out.shape[1]):
            out[k, f] += value * weights[feature, f]


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _combine_bias(b: Any, indptr: Any, indices: Any, values: Any, row: Any) -> Any:
    total = np.float32(0.0)
    for entry in range(indptr[row], indptr[row + 1]):
        total += values[entry] * b[indices[entry]]
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _inner(users: Any, rows: Any, k: Any) -> Any:
    total = np.float32(0.0)
    for f in range(rows.shape[1]):
        total += users[0, f] * rows[k, f]
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _sgd(
    weights: Any, indptr: Any, indices: Any, values: Any, row: Any, gradient: Any, lr: Any
) -> None:
    for entry in range(indptr[row], indptr[row + 1]):
        feature = indices[entry]
        step = lr * values[entry]
        for f in range(gradient.shape[0]):
            weights[feature, f] -= step * gradient[f]


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _adagrad(
    weights: Any,
    sums: Any,
    indptr: Any,
    indices: Any,
    values: Any,
    row: Any,
    gradient: Any,
    lr: Any,
) -> None:
    for entry in range(indptr[row], indptr[row + 1]):
        feature = indices[entry]
        value = values[entry]
        for f in range(gradient.shape[0]):
            g = value * gradient[f]
            total = sums[feature, f] + g * g
            sums[feature, f] = total
            weights[feature, f] -= lr * g * inverse_root(total)


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _sgd_bias(
    b: Any, indptr: Any, indices: Any, values: Any, row: Any, gradient: Any, lr: Any
) -> None:
    for entry in range(indptr[row], indptr[row + 1]):
        b[indices[entry]] -= lr * values[entry] * gradient


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _adagrad_bias(
    b: Any, sums: Any, indptr: Any, indices: Any, values: Any, row: Any, gradient: Any, lr: Any
) -> None:
    for entry in range(indptr[row], indptr[row + 1]):
        feature = indices[entry]
        g = values[entry] * gradient
        sums[feature] += g * g
        b[feature] -= lr * g * inverse_root(sums[feature])


def _train_blocks(
    U: Any,
    V: Any,
    b: Any,
    U2: Any,
    V2: Any,
    b2: Any,
    user_indptr: Any,
    user_indices: Any,
    user_values: Any,
    item_indptr: Any,
    item_indices: Any,
    item_values: Any,
    indptr: Any,
    items: Any,
    places: Any,
    n_places: Any,
    copies: Any,
    pools: Any,
    blocks: Any,
    block_users: Any,
    order: Any,
    known: Any,
    state: Any,
    harmonic: Any,
    loss: Any,
    n_negatives: Any,
    n_candidates: Any,
    adagrad: Any,
    biased: Any,
    lr: Any,
    regs: Any,
) -> Any:
    """Train on every positive of some blocks of users once; weights change in place.

    Arguments and result are those of `onehot.train_blocks`, and the CSR arrays of the user and
    item features; U, V and b have a row for each feature.
    """
    n_users = indptr.shape[0] - 1
    d = U.shape[1]
    drawn = np.empty((AHEAD, n_negatives * n_candidates), np.int64)
    user_row = np.empty((1, d), np.float32)
    rows = np.empty((n_negatives + 2, d), np.float32)  # negatives, the positive, a candidate
    biases = np.zeros(n_negatives + 1, np.float32)
    own = n_negatives
    candidate = n_negatives + 1
    chosen = np.empty(n_negatives, np.int64)
    scores = np.empty(n_negatives, np.float32)
    falls = np.empty(n_negatives, np.float32)
    weights = np.ones(n_negatives, np.float32)
    user_step = np.empty(d, np.float32)
    item_step = np.empty(d, np.float32)
    total = 0.0
    for block in blocks:
        first = block * block_users
        last = min(first + block_users, n_users)
        mark_positives(known, first, last, indptr, places, True)
        n_pairs = order_positives(state, order, first, last, indptr, items, copies, n_places)
        for start in range(0, n_pairs, AHEAD):
            size = min(AHEAD, n_pairs - start)
            draw_ahead(
                state, drawn, order, start, size, first, known, indptr, places, pools, n_places
            )
            for c in range(size):
                u = np.int64(order[start + c, 0])
                i = np.int64(order[start + c, 1])
                _combine(U, user_indptr, user_indices, user_values, u, user_row, 0)
                _combine(V, item_indptr, item_indices, item_values, i, rows, own)
                positive = _inner(user_row, rows, own)
                if biased:
                    biases[own] = _combine_bias(b, item_indptr, item_indices, item_values, i)
                    positive += biases[own]
                for n in range(n_negatives):
                    highest = np.float32(-np.inf)
                    if loss == WARP:
                        weights[n] = np.float32(0.0)
                    for h in range(n_candidates):
                        j = drawn[c, n * n_candidates + h]
                        _combine(V, item_indptr, item_indices, item_values, j, rows, candidate)
                        score = _inner(user_row, rows, candidate)
                        bias = np.float32(0.0)
                        if biased:
                            bias = _combine_bias(b, item_indptr, item_indices, item_values, j)
                            score += bias
                        if loss == WARP or h == 0 or not score <= highest:
                            chosen[n], highest, biases[n] = j, score, bias
                            for f in range(d):
                                rows[n, f] = rows[candidate, f]
                        if loss == WARP and score > positive - np.float32(1.0):
                            weights[n] = harmonic[max(1, (n_places - 1) // (h + 1))]
                            break
                    scores[n] = highest
                rise, found = slopes(loss, positive, scores, falls, weights)
                total += found
                for f in range(d):
                    user_step[f] = regs[0] * user_row[0, f] - rise * rows[own, f]
                    item_step[f] = regs[1] * rows[own, f] - rise * user_row[0, f]
                if adagrad:
                    _adagrad(V, V2, item_indptr, item_indices, item_values, i, item_step, lr)
                else:
                    _sgd(V, item_indptr, item_indices, item_values, i, item_step, lr)
                if biased:
                    g = regs[3] * biases[own] - rise
                    if adagrad:
                        _adagrad_bias(b, b2, item_indptr, item_indices, item_values, i, g, lr)
                    else:
                        _sgd_bias(b, item_indptr, item_indices, item_values, i, g, lr)
                for n in range(n_negatives):
                    j = chosen[n]
                    fall = falls[n]
                    for f in range(d):
                        user_step[f] += fall * rows[n, f]
                        item_step[f] = regs[2] * rows[n, f] + fall * user_row[0, f]
                    if adagrad:
                        _adagrad(V, V2, item_indptr, item_indices, item_values, j, item_step, lr)
                    else:
                        _sgd(V, item_indptr, item_indices, item_values, j, item_step, lr)
                    if biased:
                        g = regs[3] * biases[n] + fall
                        if adagrad:
                            _adagrad_bias(b, b2, item_indptr, item_indices, item_values, j, g, lr)
                        else:
                            _sgd_bias(b, item_indptr, item_indices, item_values, j, g, lr)
                if adagrad:
                    _adagrad(U, U2, user_indptr, user_indices, user_values, u, user_step, lr)
                else:
                    _sgd(U, user_indptr, user_indices, user_values, u, user_step, lr)
        mark_positives(known, first, last, indptr, places, False)
    return total


train_blocks: Callable[..., float] = numba.njit(
    cache=True, nogil=True, fastmath=set(FAST), error_model="numpy"
)(_train_blocks)
