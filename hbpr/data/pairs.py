"""Pairs of users and items as a sparse matrix.

Rows are merged in blocks of users, so that a hundred million of them take little more memory than
they themselves do, and a time that grows with their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import scipy.sparse as sp

#: Rows that are sorted at a time.
_ROWS: Final = 1 << 22


@dataclass(frozen=True)
class UserItems:
    """For each user a sorted list of distinct items: a CSR matrix of ones.

    Attributes:
        indptr: (U + 1,) int64; user u's items are ``items[indptr[u]:indptr[u + 1]]``.
        items: (n_pairs,) int32, rising within a user.
        n_items: Number of items in the catalogue, I.
        weights: (n_pairs,) float32 weight of each pair, or None where all weigh 1.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    n_items: int
    weights: NDArray[np.float32] | None = None

    @classmethod
    def from_pairs(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        *,
        n_users: int,
        n_items: int,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Build from (user, item) index pairs in any order; a repeated pair adds its weights up.

        Without weights a repeated pair counts once.
        """
        users_, items_ = np.asarray(users), np.asarray(items)
        weights_ = None if weights is None else np.asarray(weights, np.float64)
        parts = [
            _distinct(
                users_[rows].astype(np.int64) * n_items + items_[rows].astype(np.int64),
                None if weights_ is None else weights_[rows],
            )
            for rows in blocks_of_users(users_, n_users)
        ]
        return cls._of_keys(parts, n_users, n_items)

    @classmethod
    def _of_keys(cls, parts: "list[_Merged]", n_users: int, n_items: int) -> Self:
        """Take the keys and summed weights of blocks of users, in their order."""
        counts = np.zeros(n_users, np.int64)
        items = np.empty(sum(len(keys) for keys, _ in parts), np.int32)
        at = 0
        for keys, _ in parts:
            if len(keys):
                users, items[at : at + len(keys)] = np.divmod(keys, n_items)
                first = int(users[0])
                found = np.bincount(users - first)
                counts[first : first + len(found)] += found
                at += len(keys)
        indptr = np.zeros(n_users + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        summed = [weights for _, weights in parts if weights is not None]
        return cls(indptr, items, n_items, np.concatenate(summed) if summed else None)

    @classmethod
    def empty(cls, n_users: int, n_items: int) -> Self:
        """Return a matrix without a pair."""
        return cls(np.zeros(n_users + 1, np.int64), np.zeros(0, np.int32), n_items)

    @property
    def n_users(self) -> int:
        """Number of users, U."""
        return len(self.indptr) - 1

    @property
    def n_pairs(self) -> int:
        """Number of (user, item) pairs."""
        return len(self.items)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(U,) number of items of each user."""
        return np.diff(self.indptr)

    def users(self) -> NDArray[np.int32]:
        """(n_pairs,) user of each pair, beside `items`."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), self.counts)

    def of(self, user: int) -> NDArray[np.int32]:
        """Items of one user, sorted."""
        return self.items[self.indptr[user] : self.indptr[user + 1]]

    def select(self, mask: NDArray[np.bool_]) -> Self:
        """Pairs where the (n_pairs,) mask is true; users and items keep their numbers."""
        small = self.n_pairs < np.iinfo(np.int32).max
        kept = np.zeros(self.n_pairs + 1, np.int32 if small else np.int64)
        np.cumsum(mask, out=kept[1:])
        weights = None if self.weights is None else self.weights[mask]
        indptr = kept[self.indptr].astype(np.int64)
        return type(self)(indptr, self.items[mask], self.n_items, weights)

    def thinned(self, share: float, seed: int) -> Self:
        """Return a share of each user's pairs, drawn at random and rounded up.

        Of the same seed a larger share holds all pairs of a smaller one; a user who has pairs keeps
        one at least.

        Example:
            >>> pairs = UserItems.from_pairs([0, 0, 0, 0, 1], [0, 1, 2, 3, 0], n_users=3, n_items=4)
            >>> pairs.thinned(0.5, seed=0).counts.tolist()
            [2, 1, 0]
        """
        users, counts = self.users(), self.counts
        order = np.lexsort((np.random.default_rng(seed).random(self.n_pairs), users))
        kept = np.empty(self.n_pairs, bool)
        places = np.arange(self.n_pairs) - np.repeat(self.indptr[:-1], counts)
        kept[order] = places < np.repeat(np.ceil(share * counts - 1e-9), counts)
        return self.select(kept)

    def contains(self, other: Self) -> NDArray[np.bool_]:
        """(other.n_pairs,) whether each pair of `other` is here too."""
        found = np.zeros(other.n_pairs, bool)
        if not self.n_pairs or not other.n_pairs:
            return found
        for first, last in blocks_of_rows(self.indptr + other.indptr):
            keys, wanted = self._keys(first, last), other._keys(first, last)
            if len(keys):
                at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
                found[other.indptr[first] : other.indptr[last]] = keys[at] == wanted
        return found

    def union(self, other: Self) -> Self:
        """Pairs that are in either; weights of pairs in both add up."""
        weighted = self.weights is not None or other.weights is not None
        parts = []
        for first, last in blocks_of_rows(self.indptr + other.indptr):
            keys = np.concatenate([self._keys(first, last), other._keys(first, last)])
            weights = (
                np.concatenate([_weights(each, first, last) for each in (self, other)])
                if weighted
                else None
            )
            parts.append(_distinct(keys, weights))
        return self._of_keys(parts, self.n_users, self.n_items)

    def _keys(self, first: int, last: int) -> NDArray[np.int64]:
        """One rising number for each pair of some users."""
        users = np.repeat(np.arange(first, last), np.diff(self.indptr[first : last + 1]))
        keys: NDArray[np.int64] = users * self.n_items
        keys += self.items[self.indptr[first] : self.indptr[last]]
        return keys

    def to_csr(self) -> "sp.csr_matrix":
        """(U, I) float32 scipy matrix with the weights, or ones; shares the index arrays."""
        import scipy.sparse as sp  # half of the time that it takes to load a model to serve

        return sp.csr_matrix(
            (_weights(self, 0, self.n_users), self.items, self.indptr),
            shape=(self.n_users, self.n_items),
        )


#: Rising keys of distinct pairs, and their weights.
_Merged = tuple[NDArray[np.int64], NDArray[np.float32] | None]


def blocks_of_users(users: NDArray[np.integer], n_users: int) -> Iterator[Any]:
    """Yield the rows, in their order, of blocks of users that have few rows together.

    Args:
        users: (n,) user of each row.
        n_users: Number of users.
    """
    if len(users) <= _ROWS:
        yield slice(None)
        return
    indptr = np.zeros(n_users + 1, np.int64)
    for start in range(0, len(users), _ROWS):
        indptr[1:] += np.bincount(users[start : start + _ROWS], minlength=n_users)
    np.cumsum(indptr, out=indptr)
    blocks = list(blocks_of_rows(indptr))
    ends = [int(indptr[last]) for _, last in blocks]
    rows = _rows_by_block(users, np.array([last for _, last in blocks]), [0, *ends[:-1]])
    for start, end in zip([0, *ends], ends, strict=False):
        yield rows[start:end]


def _rows_by_block(
    users: NDArray[np.integer], lasts: NDArray[np.int64], starts: list[int]
) -> NDArray[np.integer]:
    """(n,) rows in the order of the blocks of their users, in their own order within a block.

    Args:
        users: (n,) user of each row.
        lasts: (n_blocks,) the user after the last of each block.
        starts: Where the rows of each block begin.
    """
    small = len(users) < np.iinfo(np.int32).max
    found: NDArray[np.integer] = np.empty(len(users), np.int32 if small else np.int64)
    at = list(starts)
    for start in range(0, len(users), _ROWS):
        blocks = np.searchsorted(lasts, users[start : start + _ROWS], "right").astype(np.uint16)
        order = np.argsort(blocks, kind="stable")  # of 16 bits: by counting
        ends = np.bincount(blocks, minlength=len(lasts)).cumsum()
        for block, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
            found[at[block] : at[block] + last - first] = order[first:last] + start
            at[block] += last - first
    return found


def reduced(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    values: NDArray[np.float64],
    ufunc: np.ufunc,
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """One value of each distinct pair, in the order of the matrix, such as its earliest time.

    Args:
        users: (n,) user of each row.
        items: (n,) item of each row.
        values: (n,) value of each row.
        ufunc: What makes one of two values, such as `numpy.minimum`.
        shape: Users and items.
    """
    found = []
    for rows in blocks_of_users(users, shape[0]):
        keys = users[rows].astype(np.int64) * shape[1] + items[rows]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        if len(starts):
            found.append(ufunc.reduceat(values[rows][order], starts))
    return np.concatenate(found) if found else np.zeros(0)


def _distinct(keys: NDArray[np.int64], weights: NDArray[Any] | None) -> _Merged:
    """Rising distinct keys, and the sums of their weights; sorts `keys`."""
    if weights is None:
        keys.sort()  # a hundred times faster here than np.unique, which hashes
        return keys[np.flatnonzero(np.diff(keys, prepend=-1))], None
    distinct, inverse = np.unique(keys, return_inverse=True)
    summed = np.bincount(inverse, np.asarray(weights, np.float64), len(distinct))
    return distinct, summed.astype(np.float32)


def blocks_of_rows(indptr: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the first user, and the one after the last, of blocks with few pairs together.

    Args:
        indptr: (n_users + 1,) where the pairs of each user begin, and where the last ends.
    """
    first, n_users = 0, len(indptr) - 1
    while first < n_users:
        last = int(np.searchsorted(indptr, indptr[first] + _ROWS, "right")) - 1
        last = min(max(last, first + 1), n_users)
        yield first, last
        first = last


def _weights(pairs: UserItems, first: int, last: int) -> NDArray[np.float32]:
    start, end = pairs.indptr[first], pairs.indptr[last]
    return np.ones(end - start, np.float32) if pairs.weights is None else pairs.weights[start:end]
