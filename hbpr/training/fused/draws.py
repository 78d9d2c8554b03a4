"""Random numbers and negative draws inside compiled loops.

Helpers that take arrays and are called for every triple hold no branch: Numba then proves that it
need not count references to their arrays, which otherwise costs more than the triple itself.

The generator is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): one 64-bit counter, so that a
thread's state is a single number. Integers below n come from a multiplication and a shift, without
a division (Lemire, "Fast random integer generation in an interval", 2019, without its rejection:
the bias is below n / 2**32).
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

UNIFORM: Final = 0
OBSERVED: Final = 1
MIXED: Final = 2
POPULARITY: Final = 3
ADAPTIVE: Final = 4

#: Kinds of negatives as the compiled loops know them.
KINDS: Final = {
    "uniform": UNIFORM,
    "observed": OBSERVED,
    "mixed": MIXED,
    "popularity": POPULARITY,
    "adaptive": ADAPTIVE,
}


class Pools(NamedTuple):
    """What negatives are drawn from; arrays that a kind does not need hold one entry.

    Draws are places in the list of items that training may meet. Where that is the whole
    catalogue, a place is the item itself.

    Attributes:
        kind: One of `KINDS`.
        observed_share: Share of draws from observed negatives, with MIXED.
        observed_indptr: (n_users + 1,) int64 start of each user's observed negatives.
        observed_items: int32 observed negatives.
        keep: (n_places,) float32 alias table of popularity: chance to keep the place drawn.
        alias: (n_places,) int32 place to take instead.
        ranked: (d, n_places) int32 places by falling value of each factor.
        spread: (d,) float32 deviation of each factor over the items.
        users: (n_users, d) float32 user vectors.
        decay: Logarithm of the geometric distribution of ranks, below 0.
        catalogue: (n_places,) int32 item at each place; empty where all items are met.
    """

    kind: int
    observed_share: np.float32
    observed_indptr: NDArray[np.int64]
    observed_items: NDArray[np.int32]
    keep: NDArray[np.float32]
    alias: NDArray[np.int32]
    ranked: NDArray[np.int32]
    spread: NDArray[np.float32]
    users: NDArray[np.float32]
    decay: np.float32
    catalogue: NDArray[np.int32]


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
    state: Any,
    order: Any,
    first: Any,
    last: Any,
    indptr: Any,
    items: Any,
    copies: Any,
    n_items: Any,
) -> Any:
    """Write the (user, item) positives of users first .. last - 1 in random order.

    Users who know the whole catalogue are left out: they have no negative to learn from.
    `copies` tells how often each positive is written; where it is empty, each is written once.

    Returns:
        Number of rows of `order` written.
    """
    n = 0
    weighted = copies.shape[0] > 0
    for user in range(first, last):
        if indptr[user + 1] - indptr[user] < n_items:
            for pair in range(indptr[user], indptr[user + 1]):
                for _ in range(copies[pair] if weighted else 1):
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
def _by_popularity(state: Any, pools: Any) -> Any:
    """Draw from the alias table (Walker, ACM TOMS 1977)."""
    item = random_below(state, pools.keep.shape[0])
    if random_unit(state) >= pools.keep[item]:
        item = np.int64(pools.alias[item])
    return item


@njit(cache=True, nogil=True)
def _by_rank(state: Any, pools: Any, user: Any) -> Any:
    """Draw an item that one of the user's factors ranks high.

    Source:
        Rendle & Freudenthaler, "Improving pairwise learning for item recommendation from implicit
        feedback", WSDM 2014, algorithm 2: a factor by its weight for the user, then a rank from a
        geometric distribution, counted from the end where the user's value is negative.
    """
    d, n_items = pools.ranked.shape
    whole = np.float32(0.0)
    for f in range(d):
        whole += abs(pools.users[user, f]) * pools.spread[f]
    left = random_unit(state) * whole
    factor = 0
    for f in range(d):
        left -= abs(pools.users[user, f]) * pools.spread[f]
        factor = f
        if left < 0.0:
            break
    rank = np.int64(np.log(np.float32(1.0) - random_unit(state)) / pools.decay) % n_items
    if pools.users[user, factor] < 0.0:
        rank = n_items - 1 - rank
    return np.int64(pools.ranked[factor, rank])


@njit(cache=True, nogil=True)
def draw_ahead(  # noqa: PLR0913 - a compiled kernel
    state: Any,
    drawn: Any,
    order: Any,
    start: Any,
    size: Any,
    first: Any,
    known: Any,
    indptr: Any,
    places: Any,
    pools: Any,
    n_places: Any,
) -> None:
    """Draw all negatives of the positives ``order[start : start + size]`` into `drawn`.

    `places` are the users' positives as places of the pool, sorted within a user. A user without
    observed negatives draws from the whole pool; so does a draw that met a known positive
    `_TRIES` times.
    """
    restricted = pools.catalogue.shape[0] > 0
    for c in range(size):
        u = np.int64(order[start + c, 0])
        for n in range(drawn.shape[1]):
            kind = pools.kind
            if kind == OBSERVED or (kind == MIXED and random_unit(state) < pools.observed_share):
                count = pools.observed_indptr[u + 1] - pools.observed_indptr[u]
                if count > 0:
                    place = pools.observed_indptr[u] + random_below(state, count)
                    drawn[c, n] = pools.observed_items[place]
                    continue
            found = False
            for _ in range(_TRIES):
                if kind == POPULARITY:
                    j = _by_popularity(state, pools)
                elif kind == ADAPTIVE:
                    j = _by_rank(state, pools, u)
                else:
                    j = random_below(state, n_places)
                found = not _is_positive(known, u - first, j)
                if found:
                    break
            if not found:
                j = _exact_negative(state, places, indptr[u], indptr[u + 1], n_places)
            drawn[c, n] = pools.catalogue[j] if restricted else j


def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Prepare draws in proportion to weights (Vose, IEEE TSE 1991).

    Args:
        weights: (n,) weights, not negative, not all zero.

    Returns:
        (n,) chance to keep an entry drawn alike from all, and (n,) the entry to take instead.
    """
    n = len(weights)
    scaled = weights * (n / weights.sum())
    keep, alias = np.ones(n), np.arange(n)
    small = list(np.flatnonzero(scaled < 1.0))
    large = list(np.flatnonzero(scaled >= 1.0))
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], alias[low] = scaled[low], high
        scaled[high] -= 1.0 - scaled[low]
        if scaled[high] < 1.0:
            small.append(large.pop())
    return keep.astype(np.float32), alias.astype(np.int32)
