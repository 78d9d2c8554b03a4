"""What training reads: index arrays, frozen, and cheap to share between processes.

Shapes: U users, I items, P user features, Q item features. Everything is a plain contiguous numpy
array, so an object store hands it to several processes without copying; no method writes to one.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hbpr.data.pairs import UserItems

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Exposures", "Features", "Interactions", "Judged", "UserItems"]


def _add(digest: "hashlib._Hash", part: UserItems) -> None:
    digest.update(np.int64(part.n_items).tobytes())
    _update(digest, part.indptr, part.items)
    if part.weights is not None:
        _update(digest, part.weights)


def _update(digest: "hashlib._Hash", *arrays: NDArray[Any]) -> None:
    """Add the bytes of arrays, without a copy of them."""
    for array in arrays:
        if array.size:
            digest.update(np.ascontiguousarray(array).data.cast("B"))


def _plain(pairs: UserItems) -> UserItems:
    return dataclasses.replace(pairs, weights=None)


@dataclass(frozen=True)
class Exposures:
    """What users were shown together, by page or session; one page belongs to one user.

    Attributes:
        users: (n_pages,) int64 user of each page.
        shown: (n_pages, I) items of each page.
    """

    users: NDArray[np.int64]
    shown: UserItems

    def chosen(self, positives: UserItems) -> UserItems:
        """(n_pages, I) items shown that are among their user's positives, a (U, I) matrix."""
        wanted = self.users[self.shown.users()] * self.shown.n_items + self.shown.items
        known = positives.users().astype(np.int64) * positives.n_items + positives.items
        return self.shown.select(np.isin(wanted, known))


@dataclass(frozen=True)
class Judged:
    """Held-out exposures of known probability: what they say of a ranking.

    Attributes:
        pairs: (U, I) ranked pairs that are known to be liked or not; the weight of each is the
            inverse of the probability that it is known.
        liked: (n_pairs,) whether each is.
    """

    pairs: UserItems
    liked: NDArray[np.bool_]


@dataclass(frozen=True)
class Features:
    """Sparse features of users or of items: one row each, as CSR arrays.

    Attributes:
        indptr: (rows + 1,) int64.
        indices: (nnz,) int32 feature of each entry, rising within a row.
        values: (nnz,) float32 weight of each entry.
        n_features: Number of columns.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    n_features: int

    @classmethod
    def identity(cls, n_rows: int) -> Self:
        """One feature of its own for each row ("indicator")."""
        return cls(
            np.arange(n_rows + 1, dtype=np.int64),
            np.arange(n_rows, dtype=np.int32),
            np.ones(n_rows, np.float32),
            n_rows,
        )

    @classmethod
    def from_csr(cls, matrix: "sp.spmatrix | sp.sparray") -> Self:
        """Copy a scipy matrix of shape (rows, features)."""
        import scipy.sparse as sp

        csr = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
        csr.sum_duplicates()
        return cls(
            csr.indptr.astype(np.int64), csr.indices.astype(np.int32), csr.data, csr.shape[1]
        )

    @property
    def n_rows(self) -> int:
        """Number of users or items described."""
        return len(self.indptr) - 1

    @cached_property
    def is_identity(self) -> bool:
        """Whether row r has the single feature r with weight 1."""
        n = self.n_rows
        return (
            self.n_features == n
            and len(self.indices) == n
            and bool((self.indptr == np.arange(n + 1)).all())
            and bool((self.indices == np.arange(n)).all())
            and bool((self.values == 1.0).all())
        )

    def to_csr(self) -> "sp.csr_matrix":
        """(rows, n_features) float32 scipy matrix; shares the arrays."""
        import scipy.sparse as sp

        return sp.csr_matrix(
            (self.values, self.indices, self.indptr), shape=(self.n_rows, self.n_features)
        )


@dataclass(frozen=True)
class Interactions:
    """One dataset, split and indexed: all that a training run reads.

    Users and items are numbers from 0; `user_ids` and `item_ids` give their ids back. Observed
    negatives (seen, not liked) are parted like the positives: only those of the training part may
    be drawn in training. No pair is both positive and negative.

    Attributes:
        name: Name of the dataset.
        train: Positives to learn from.
        validation: Positives that the search and early stopping look at.
        test: Positives that are scored once, at the end.
        train_negatives: Observed negatives to learn from.
        validation_negatives: Observed negatives held out beside `validation`.
        test_negatives: Observed negatives held out beside `test`.
        user_features: (U, P) features.
        item_features: (I, Q) features.
        user_ids: (U,) id of each user, in index order.
        item_ids: (I,) id of each item, in index order.
        user_feature_names: (P,) names, for reading; may be empty.
        item_feature_names: (Q,) names, for reading; may be empty.
        item_names: (I,) what people call each item, such as its title; empty if not known.
        split: The split in words, such as ``random 0.8/0.1/0.1, seed 0``; it names the candidates
            too, unless they are the whole catalogue.
        validation_candidates: Items that `validation` is ranked among, beside the held-out ones
            themselves; None: the whole catalogue.
        test_candidates: The same for `test`.
        trainable_items: (I,) items that training may meet, also as negatives; None: all. The
            others are held out as a whole (cold items).
        pages: What users were shown together; None: not known. Training does not read it: what
            was shown and never chosen is among the observed negatives.
        unseen: Observed negatives of earlier parts are no candidates either.
        validation_judged: What held-out exposures of known probability say of a ranking of
            `validation`; None: probabilities are not known.
        test_judged: The same for `test`.
        left_out: Rows that did not become a pair of their own, by reason; for records only.
    """

    name: str
    train: UserItems
    validation: UserItems
    test: UserItems
    train_negatives: UserItems
    validation_negatives: UserItems
    test_negatives: UserItems
    user_features: Features
    item_features: Features
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    user_feature_names: Sequence[str] = ()
    item_feature_names: Sequence[str] = ()
    split: str = ""
    validation_candidates: UserItems | None = None
    test_candidates: UserItems | None = None
    trainable_items: NDArray[np.bool_] | None = None
    pages: Exposures | None = None
    unseen: bool = False
    validation_judged: Judged | None = None
    test_judged: Judged | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    item_names: Sequence[str] = ()

    @property
    def n_users(self) -> int:
        """Number of users, U."""
        return self.train.n_users

    @property
    def n_items(self) -> int:
        """Number of items, I."""
        return self.train.n_items

    @cached_property
    def exam(self) -> str:
        """SHA-256 of what is held out and what it is ranked among: equal where metrics compare."""
        digest = hashlib.sha256()
        parts = [self.train, self.validation, self.test]
        parts += [self.train_negatives, self.validation_negatives] if self.unseen else []
        candidates = (self.validation_candidates, self.test_candidates)
        parts += [each for each in candidates if each is not None]
        for part in parts:
            digest.update(np.array([part.n_users, part.n_items]).tobytes())
            digest.update(part.indptr.tobytes() + part.items.tobytes())
        return digest.hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that training and evaluation read: equal where the numbers compare."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test, self.train_negatives):
            _add(digest, part)
        for name in ("validation_candidates", "test_candidates"):
            candidates = getattr(self, name)
            if candidates is not None:
                digest.update(name.encode())
                _add(digest, candidates)
        if self.unseen:
            digest.update(b"unseen")
            _add(digest, self.validation_negatives)
        if self.trainable_items is not None:
            digest.update(b"trainable_items")
            _update(digest, self.trainable_items)
        if self.pages is not None:
            digest.update(b"pages")
            _update(digest, self.pages.users)
            _add(digest, self.pages.shown)
        for judged in (self.validation_judged, self.test_judged):
            if judged is not None:
                digest.update(b"propensity")
                _add(digest, judged.pairs)
        for features in (self.user_features, self.item_features):
            _update(digest, features.indptr, features.indices, features.values)
        return digest.hexdigest()

    @cached_property
    def described_items(self) -> "sp.csr_matrix | None":
        """(I, Q) float64 item features without each item's own, rows of length 1 or empty.

        None where only the item itself describes it.
        """
        if self.item_features.is_identity:
            return None
        from hbpr.data.described import described

        return described(self.item_features.to_csr(), self.item_feature_names, self.item_ids)

    def seen(self) -> UserItems:
        """(U, I) positives of train and validation: what is known before the test."""
        if self.validation.n_pairs == 0:
            return self.train
        return self.train.union(self.validation)

    def met(self) -> UserItems:
        """(U, I) positives and observed negatives of train and validation, as ones."""
        met = _plain(self.seen())
        for negatives in (self.train_negatives, self.validation_negatives):
            if negatives.n_pairs:
                met = met.union(_plain(negatives))
        return met

    def no_candidates(self, part: Literal["val", "test"]) -> UserItems:
        """(U, I) pairs that the ranking of a held-out part leaves out."""
        if part == "test":
            return self.met() if self.unseen else self.seen()
        return self._met_in_training if self.unseen else self.train

    @cached_property
    def _met_in_training(self) -> UserItems:
        return _plain(self.train).union(_plain(self.train_negatives))

    def thinned(self, share: float, seed: int) -> Self:
        """Return the data with a share of each user's training pairs, see `UserItems.thinned`.

        Users, items, features and what is held out stay: only less is known of each user.
        """
        return dataclasses.replace(
            self,
            train=self.train.thinned(share, seed),
            train_negatives=self.train_negatives.thinned(share, seed),
        )

    def refit_on_validation(self) -> Self:
        """Return the data of the final fit: validation moved into train, test untouched."""
        trainable = self.trainable_items
        if trainable is not None:
            trainable = trainable.copy()
            trainable[self.validation.items] = True
            trainable[self.validation_negatives.items] = True
        none = UserItems.empty(self.n_users, self.n_items)
        return dataclasses.replace(
            self,
            train=self.train.union(self.validation),
            validation=none,
            train_negatives=self.train_negatives.union(self.validation_negatives),
            validation_negatives=none,
            split=f"{self.split}, refit on train+validation",
            validation_candidates=None,
            validation_judged=None,
            trainable_items=trainable,
        )
