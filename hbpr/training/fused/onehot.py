"""The compiled epoch where every user and every item is its own only feature.

Users are visited in shuffled blocks, and the positives of a block in random order: the user rows,
and the bit sets that tell a user's positives, stay in the processor's cache. Triples are drawn a
few ahead of their update, so that item rows are on their way when they are needed.
"""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numba import njit

from hbpr.training.fused.draws import draw_ahead, mark_positives, order_positives
from hbpr.training.fused.gradients import BPR, BY_ADDRESS, HINGE, call_at, slopes
from hbpr.training.fused.prefetch import prefetch_row
from hbpr.training.fused.steps import adagrad_bias, adagrad_step, sgd_bias, sgd_step
from hbpr.training.losses.compiled import FAST, sigmoid, softplus

#: Positives whose negatives are drawn before the first of them is used.
AHEAD: Final = 32
#: Item vectors that take no more stay in the cache by themselves.
_NEAR_BYTES: Final = 2**20
_ONE: Final = np.float32(1.0)


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _inner(users: Any, user: Any, items: Any, item: Any) -> Any:
    total = np.float32(0.0)
    for f in range(users.shape[1]):
        total += users[user, f] * items[item, f]
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _gap(users: Any, user: Any, items: Any, i: Any, j: Any) -> Any:
    """How far the user's score of item i is above that of item j, without biases."""
    total = np.float32(0.0)
    for f in range(users.shape[1]):
        total += users[user, f] * (items[i, f] - items[j, f])
    return total


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _sgd_triple(  # noqa: PLR0913 - a compiled kernel
    U: Any, V: Any, u: Any, i: Any, j: Any, rise: Any, fall: Any, lr: Any, regs: Any
) -> None:
    """Move the three rows of a triple in one pass; regs is (user, positive, negative)."""
    for f in range(U.shape[1]):
        user, positive, negative = U[u, f], V[i, f], V[j, f]
        U[u, f] = user - lr * (regs[0] * user - rise * positive + fall * negative)
        V[i, f] = positive - lr * (regs[1] * positive - rise * user)
        V[j, f] = negative - lr * (regs[2] * negative + fall * user)


@njit(cache=True, inline="always", fastmath=set(FAST), error_model="numpy")
def _gradients(  # noqa: PLR0913 - a compiled kernel
    U: Any, V: Any, u: Any, i: Any, j: Any, rise: Any, fall: Any, regs: Any, steps: Any
) -> None:
    """Write the gradients of a triple's user, positive and negative to the rows of `steps`.

    In two loops, and apart from the update: with more rows in a loop the compiler gives up
    proving that they do not overlap, and leaves the vector registers unused.
    """
    for f in range(U.shape[1]):
        steps[0, f] = regs[0] * U[u, f] - rise * V[i, f] + fall * V[j, f]
        steps[1, f] = regs[1] * V[i, f] - rise * U[u, f]
    for f in range(U.shape[1]):
        steps[2, f] = regs[2] * V[j, f] + fall * U[u, f]


def _train_blocks(  # noqa: C901, PLR0913, PLR0915 - a compiled kernel
    U: Any,
    V: Any,
    b: Any,
    U2: Any,
    V2: Any,
    b2: Any,
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

    Args:
        U: (n_users, d) float32 user vectors.
        V: (n_items, d) float32 item vectors.
        b: (n_items,) float32 item biases.
        U2: Adagrad's sums of squares, shaped as U; (1, 1) with SGD. V2 and b2 likewise.
        V2: See U2.
        b2: See U2.
        indptr: (n_users + 1,) int64 start of each user's positives.
        items: (n_pairs,) int32 positives, sorted within a user.
        places: (n_pairs,) int32 the positives as places among the items training may meet.
        n_places: Number of items that training may meet.
        copies: (n_pairs,) int32 visits of each positive, or empty: one visit each.
        pools: What negatives are drawn from.
        blocks: Numbers of the blocks to visit, in this order.
        block_users: Users in a block.
        order: int32 scratch for the positives of the largest block, (n, 2).
        known: (block_users, words) uint64 scratch bit sets, all zero.
        state: (1,) uint64 random state.
        harmonic: (n_items + 1,) float32 harmonic numbers.
        loss: Code of the loss, and address, of `gradients.code_of`.
        address: See loss.
        ranked: Whether negatives are drawn and weighted as `LossKind.rank_weighted` says.
        n_negatives: Negatives beside each positive, N.
        n_candidates: Candidates drawn for each negative; the most draws if ranked.
        adagrad: Whether to scale steps by Adagrad's sums.
        biased: Whether biases are learned.
        lr: Learning rate.
        regs: L2 of users, positives, negatives and biases: four float32.

    Returns:
        Sum of the losses, float64.
    """
    n_users = indptr.shape[0] - 1
    d = U.shape[1]
    drawn = np.empty((AHEAD, n_negatives * n_candidates), np.int64)
    chosen = np.empty(n_negatives, np.int64)
    scores = np.empty(n_negatives, np.float32)
    falls = np.empty(n_negatives, np.float32)
    weights = np.ones(n_negatives, np.float32)
    rises = np.zeros(1, np.float32)
    scratch = (scores.ctypes.data, falls.ctypes.data, weights.ctypes.data, rises.ctypes.data)
    steps = np.empty((3, d), np.float32)
    total = 0.0
    likelihood = 1.0  # product of probabilities: one logarithm for many of them
    far = V.nbytes > _NEAR_BYTES
    simple = n_candidates == 1 and n_negatives == 1 and not ranked and loss in (BPR, HINGE)
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
            for c in range(size if far else 0):
                prefetch_row(V, np.int64(order[start + c, 1]))
                if adagrad:
                    prefetch_row(V2, np.int64(order[start + c, 1]))
                for n in range(drawn.shape[1]):
                    prefetch_row(V, drawn[c, n])
                    if adagrad:
                        prefetch_row(V2, drawn[c, n])
            for c in range(size):
                u = np.int64(order[start + c, 0])
                i = np.int64(order[start + c, 1])
                if simple:
                    j = drawn[c, 0]
                    x = _gap(U, u, V, i, j)
                    if biased:
                        x += b[i] - b[j]
                    if loss == HINGE:
                        gap = np.float32(1.0) - x
                        rise = np.float32(0.0) if gap <= np.float32(0.0) else np.float32(1.0)
                        total += gap * rise
                    else:
                        rise = sigmoid(-x)
                        if rise < np.float32(0.999):
                            likelihood *= np.float32(1.0) - rise
                            if likelihood < 1e-200:
                                total -= np.log(likelihood)
                                likelihood = 1.0
                        else:
                            total += softplus(-x)
                    fall = rise
                else:
                    positive = _inner(U, u, V, i)
                    if biased:
                        positive += b[i]
                    for n in range(n_negatives):
                        best = drawn[c, n * n_candidates]
                        highest = np.float32(-np.inf)
                        if ranked:
                            weights[n] = np.float32(0.0)
                        for h in range(n_candidates):
                            j = drawn[c, n * n_candidates + h]
                            score = _inner(U, u, V, j)
                            if biased:
                                score += b[j]
                            if ranked:
                                best, highest = j, score
                                if score > positive - np.float32(1.0):
                                    weights[n] = harmonic[max(1, (n_places - 1) // (h + 1))]
                                    break
                            elif not score <= highest:
                                best, highest = j, score
                        chosen[n] = best
                        scores[n] = highest
                    if loss == BY_ADDRESS:
                        found = call_at(address, positive, n_negatives, scratch)
                        rise = rises[0]
                    else:
                        rise, found = slopes(loss, positive, scores, falls, weights)
                    total += found
                    fall = falls[0]
                    j = chosen[0]
                if n_negatives == 1:
                    if adagrad:
                        _gradients(U, V, u, i, j, rise, fall, regs, steps)
                        adagrad_step(U, U2, u, steps, 0, _ONE, lr)
                        adagrad_step(V, V2, i, steps, 1, _ONE, lr)
                        adagrad_step(V, V2, j, steps, 2, _ONE, lr)
                    else:
                        _sgd_triple(U, V, u, i, j, rise, fall, lr, regs)
                else:
                    for f in range(d):
                        steps[0, f] = regs[0] * U[u, f] - rise * V[i, f]
                        steps[1, f] = regs[1] * V[i, f] - rise * U[u, f]
                    if adagrad:
                        adagrad_step(V, V2, i, steps, 1, _ONE, lr)
                    else:
                        sgd_step(V, i, steps, 1, _ONE, lr)
                    for n in range(n_negatives):
                        j = chosen[n]
                        fall = falls[n]
                        for f in range(d):
                            steps[0, f] += fall * V[j, f]
                            steps[1, f] = regs[2] * V[j, f] + fall * U[u, f]
                        if adagrad:
                            adagrad_step(V, V2, j, steps, 1, _ONE, lr)
                        else:
                            sgd_step(V, j, steps, 1, _ONE, lr)
                        if biased and n + 1 < n_negatives:
                            if adagrad:
                                adagrad_bias(b, b2, j, regs[3] * b[j] + fall, lr)
                            else:
                                sgd_bias(b, j, regs[3] * b[j] + fall, lr)
                    if adagrad:
                        adagrad_step(U, U2, u, steps, 0, _ONE, lr)
                    else:
                        sgd_step(U, u, steps, 0, _ONE, lr)
                if biased and adagrad:
                    adagrad_bias(b, b2, i, regs[3] * b[i] - rise, lr)
                    adagrad_bias(b, b2, j, regs[3] * b[j] + fall, lr)
                elif biased:
                    sgd_bias(b, i, regs[3] * b[i] - rise, lr)
                    sgd_bias(b, j, regs[3] * b[j] + fall, lr)
        mark_positives(known, first, last, indptr, places, False)
    return total - np.log(likelihood)


train_blocks: Callable[..., float] = numba.njit(
    cache=True, nogil=True, fastmath=set(FAST), error_model="numpy"
)(_train_blocks)
