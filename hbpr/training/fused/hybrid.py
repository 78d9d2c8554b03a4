"""The compiled epoch where users and items are sums of the vectors of their features.

The loop is that of `onehot`; a row of a user or an item is here the weighted sum of its features'
rows. Its own feature moves with every triple, those that it shares with others once in a while (see
`sharing`).
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import njit

from hbpr.training.fused.draws import draw_ahead, mark_positives, order_positives
from hbpr.training.fused.gradients import BY_ADDRESS, call_at, slopes
from hbpr.training.fused.onehot import AHEAD
from hbpr.training.fused.sharing import keep, move
from hbpr.training.fused.steps import adagrad_bias, adagrad_step, sgd_bias, sgd_step
from hbpr.training.losses.compiled import FAST


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _compose(W: Any, shared: Any, kept: Any, row: Any, out: Any, k: Any) -> None:
    """Write the vector of a row to ``out[k]``."""
    own, weight, vectors = shared.own[row], shared.weight[row], kept.vectors
    for f in range(out.shape[1]):
        out[k, f] = weight * W[own, f]
    for entry in range(shared.indptr[row], shared.indptr[row + 1]):
        s, weight = shared.sums[entry], shared.weights[entry]
        for f in range(out.shape[1]):
            out[k, f] += weight * vectors[s, f]


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _bias(b: Any, shared: Any, kept: Any, row: Any) -> Any:
    total = shared.weight[row] * b[shared.own[row]]
    for entry in range(shared.indptr[row], shared.indptr[row + 1]):
        total += shared.weights[entry] * kept.vectors[shared.sums[entry], 0]
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _inner(users: Any, rows: Any, k: Any) -> Any:
    total = np.float32(0.0)
    for f in range(rows.shape[1]):
        total += users[0, f] * rows[k, f]
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _add(shared: Any, kept: Any, row: Any, steps: Any, k: Any) -> None:
    """Add the gradient of a row to those of what it shares."""
    gradients = kept.gradients
    for entry in range(shared.indptr[row], shared.indptr[row + 1]):
        s, weight = shared.sums[entry], shared.weights[entry]
        kept.met[s] = True
        for f in range(gradients.shape[1]):
            gradients[s, f] += weight * steps[k, f]


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _add_bias(shared: Any, kept: Any, row: Any, g: Any) -> None:
    for entry in range(shared.indptr[row], shared.indptr[row + 1]):
        s = shared.sums[entry]
        kept.met[s] = True
        kept.gradients[s, 0] += shared.weights[entry] * g


def _train_blocks(  # noqa: C901, PLR0913, PLR0915 - a compiled kernel
    U: Any,
    V: Any,
    b: Any,
    U2: Any,
    V2: Any,
    b2: Any,
    user_shared: Any,
    item_shared: Any,
    stride: Any,
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
    address: Any,
    ranked: Any,
    n_negatives: Any,
    n_candidates: Any,
    adagrad: Any,
    biased: Any,
    lr: Any,
    regs: Any,
) -> Any:
    """Train on every positive of some blocks of users once; weights change in place.

    Arguments and result are those of `onehot.train_blocks`, and what users and items share
    (`sharing.SplitFeatures`) and the triples between two steps of it; U, V and b have a row for
    each feature.
    """
    n_users = indptr.shape[0] - 1
    d = U.shape[1]
    ahead = min(AHEAD, stride)
    drawn = np.empty((ahead, n_negatives * n_candidates), np.int64)
    chosen = np.empty(n_negatives + 1, np.int64)  # the negatives, then the positive
    rows = np.empty((n_negatives + 2, d), np.float32)  # theirs, and that of a candidate
    biases = np.zeros(n_negatives + 1, np.float32)
    scores = np.empty(n_negatives, np.float32)
    falls = np.empty(n_negatives, np.float32)
    weights = np.ones(n_negatives, np.float32)
    rises = np.zeros(1, np.float32)
    scratch = (scores.ctypes.data, falls.ctypes.data, weights.ctypes.data, rises.ctypes.data)
    user_row = np.empty((1, d), np.float32)
    steps = np.empty((2, d), np.float32)  # of the user, of an item
    B, B2 = b.reshape((-1, 1)), b2.reshape((-1, 1))
    kept_users, kept_items = keep(U, user_shared), keep(V, item_shared)
    kept_biases = keep(B, item_shared)
    choose = not ranked and n_candidates > 1
    pending = 0
    total = 0.0
    for block in blocks:
        first = block * block_users
        last = min(first + block_users, n_users)
        mark_positives(known, first, last, indptr, places, True)
        n_pairs = order_positives(state, order, first, last, indptr, items, copies, n_places)
        for start in range(0, n_pairs, ahead):
            size = min(ahead, n_pairs - start)
            draw_ahead(
                state, drawn, order, start, size, first, known, indptr, places, pools, n_places
            )
            for c in range(size):
                u, i = np.int64(order[start + c, 0]), np.int64(order[start + c, 1])
                _compose(U, user_shared, kept_users, u, user_row, 0)
                _compose(V, item_shared, kept_items, i, rows, n_negatives)
                positive = _inner(user_row, rows, n_negatives)
                if biased:
                    biases[n_negatives] = _bias(b, item_shared, kept_biases, i)
                    positive += biases[n_negatives]
                chosen[n_negatives] = i
                for n in range(n_negatives):
                    place = n_negatives + 1 if choose else n
                    highest = np.float32(-np.inf)
                    if ranked:
                        weights[n] = np.float32(0.0)
                    for h in range(n_candidates):
                        j = drawn[c, n * n_candidates + h]
                        _compose(V, item_shared, kept_items, j, rows, place)
                        score = _inner(user_row, rows, place)
                        bias = np.float32(0.0)
                        if biased:
                            bias = _bias(b, item_shared, kept_biases, j)
                            score += bias
                        if ranked or h == 0 or not score <= highest:
                            chosen[n], highest, biases[n] = j, score, bias
                            if choose:
                                for f in range(d):
                                    rows[n, f] = rows[place, f]
                        if ranked and score > positive - np.float32(1.0):
                            weights[n] = harmonic[max(1, (n_places - 1) // (h + 1))]
                            break
                    scores[n] = highest
                if loss == BY_ADDRESS:
                    found = call_at(address, positive, n_negatives, scratch)
                    rise = rises[0]
                else:
                    rise, found = slopes(loss, positive, scores, falls, weights)
                total += found
                for f in range(d):
                    steps[0, f] = regs[0] * user_row[0, f]
                for n in range(n_negatives, -1, -1):
                    j = chosen[n]
                    own, weight = item_shared.own[j], item_shared.weight[j]
                    fall = falls[n] if n < n_negatives else -rise
                    reg = regs[2] if n < n_negatives else regs[1]
                    for f in range(d):
                        steps[0, f] += fall * rows[n, f]
                        steps[1, f] = reg * rows[n, f] + fall * user_row[0, f]
                    _add(item_shared, kept_items, j, steps, 1)
                    if weight != 0 and adagrad:
                        adagrad_step(V, V2, own, steps, 1, weight, lr)
                    elif weight != 0:
                        sgd_step(V, own, steps, 1, weight, lr)
                    if biased:
                        g = regs[3] * biases[n] + fall
                        _add_bias(item_shared, kept_biases, j, g)
                        if adagrad:
                            adagrad_bias(b, b2, own, weight * g, lr)
                        else:
                            sgd_bias(b, own, weight * g, lr)
                own, weight = user_shared.own[u], user_shared.weight[u]
                _add(user_shared, kept_users, u, steps, 0)
                if weight != 0 and adagrad:
                    adagrad_step(U, U2, own, steps, 0, weight, lr)
                elif weight != 0:
                    sgd_step(U, own, steps, 0, weight, lr)
            pending += size
            if pending >= stride or start + size == n_pairs:
                move(U, U2, user_shared, kept_users, adagrad, lr)
                move(V, V2, item_shared, kept_items, adagrad, lr)
                move(B, B2, item_shared, kept_biases, adagrad, lr)
                pending = 0
        mark_positives(known, first, last, indptr, places, False)
    return total


train_blocks: Callable[..., float] = numba.njit(
    cache=True, nogil=True, fastmath=set(FAST), error_model="numpy"
)(_train_blocks)
