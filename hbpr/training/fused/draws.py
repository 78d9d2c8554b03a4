"""Random numbers and negative draws inside compiled loops.

Helpers that take arrays and are called for every triple hold no branch: Numba then proves that it
need not count references to their arrays, which otherwise costs more than the triple itself.

The generator is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): one 64-bit counter, so that a
thread's state is a single number. Integers below n come from a multiplication and a shift, without
a division (Lemire, "Fast random integer generation in an interval", 2019, without its rejection:
the bias is below n / 2**32).
"""

from typing import Any, Final

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

UNIFORM: Final = 0
OBSERVED: Final = 1
MIXED: Final = 2

#: Kinds of negatives as the compiled loops know them.
KINDS: Final = {"uniform": UNIFORM, "observed": OBSERVED, "mixed": MIXED}

#: Draws that may hit a known positive before the exact draw takes over.
_TRIES: Final = 16


@njit(cache=True, nogil=True)
def next_random(state: Any) -> Any:
    """Advance ``state[0]`` (uint64) and return 64 random bits."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def random_below(state: Any, n: Any) -> Any:
    """Return a uniform integer from 0 to n - 1, n below 2**32."""
    return np.int64(((next_random(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def random_unit(state: Any) -> Any:
    """Return a uniform float32 from 0 (included) to 1."""
    return np.float32(next_random(state) >> np.uint64(40)) * np.float32(1.0 / (1 << 24))


@njit(cache=True, nogil=True)
def _exact_negative(state: Any, items: Any, start: Any, end: Any, n_items: Any) -> Any:
    """Draw an item that is not among the user's sorted ``items[start:end]``, without rejection.

    The draw is a place among the user's non-positives; ``items[j] - (j - start)`` of them come
    before the j-th positive, so a binary search turns the place into the item.
    """
    place = random_below(state, n_items - (end - start))
    low = start
    length = end - start
    while length > 0:
        half = length >> 1
        middle = low + half
        before = items[middle] - (middle - start) <= place
        low = middle + 1 if before else low
        length = length - half - 1 if before else half
    return place + (low - start)


@njit(cache=True, nogil=True)
def _is_positive(known: Any, row: Any, item: Any) -> Any:
    """Whether bit `item` of row `row` is set in (rows, words) uint64 bit sets."""
    return (known[row, item >> 6] >> np.uint64(item & 63)) & np.uint64(1)


@njit(cache=True, nogil=True)
def mark_positives(
    known: Any, first_user: Any, last_user: Any, indptr: Any, items: Any, on: Any
) -> None:
    """Set or clear the bits of the positives of users first_user .. last_user - 1.

    Only words that hold a positive are written, so a block costs its interactions and not its
    share of the catalogue.
    """
    for user in range(first_user, last_user):
        for pair in range(indptr[user], indptr[user + 1]):
            item = items[pair]
            if on:
                known[user - first_user, item >> 6] |= np.uint64(1) << np.uint64(item & 63)
            else:
                known[user - first_user, item >> 6] = np.uint64(0)


@njit(cache=True, nogil=True)
def order_positives(
    state: Any, order: Any, first: Any, last: Any, indptr: Any, items: Any, n_items: Any
) -> Any:
    """Write the (user, item) positives of users first .. last - 1 in random order.

    Users who know the whole catalogue are left out: they have no negative to learn from.

    Returns:
        Number of rows of `order` written.
    """
    n = 0
    for user in range(first, last):
        if indptr[user + 1] - indptr[user] < n_items:
            for pair in range(indptr[user], indptr[user + 1]):
                order[n, 0] = user
                order[n, 1] = items[pair]
                n += 1
    for k in range(n - 1, 0, -1):
        other = random_below(state, k + 1)
        user, item = order[k, 0], order[k, 1]
        order[k, 0], order[k, 1] = order[other, 0], order[other, 1]
        order[other, 0], order[other, 1] = user, item
    return n


@njit(cache=True, nogil=True)
def draw_ahead(
    state: Any,
    drawn: Any,
    order: Any,
    start: Any,
    size: Any,
    first: Any,
    known: Any,
    indptr: Any,
    items: Any,
    observed_indptr: Any,
    observed_items: Any,
    kind: Any,
    observed_share: Any,
    n_items: Any,
) -> None:
    """Draw all negatives of the positives ``order[start : start + size]`` into `drawn`.

    A user without observed negatives draws from the whole catalogue.
    """
    for c in range(size):
        u = np.int64(order[start + c, 0])
        for n in range(drawn.shape[1]):
            count = np.int64(0)
            if kind == OBSERVED or (kind == MIXED and random_unit(state) < observed_share):
                count = observed_indptr[u + 1] - observed_indptr[u]
            if count > 0:
                place = observed_indptr[u] + random_below(state, count)
                drawn[c, n] = observed_items[place]
                continue
            j = random_below(state, n_items)
            tries = 1
            while _is_positive(known, u - first, j) and tries < _TRIES:
                j = random_below(state, n_items)
                tries += 1
            if tries == _TRIES:
                j = _exact_negative(state, items, indptr[u], indptr[u + 1], n_items)
            drawn[c, n] = j
