"""A dataset under construction: interactions and features by the ids of your tables."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from hbpr.data.ids import Coded, catalogue, check_same_kind, encode
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.data.split import split_random
from hbpr.errors import DataError
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import SplitSettings

_log = logging.getLogger(__name__)

Side = Literal["user", "item"]


@dataclass(frozen=True)
class Pairs:
    """One call's (user, item) rows; weights None where all weigh 1."""

    users: Coded
    items: Coded
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Triples:
    """One call's (id, feature, weight) rows; weights None where all weigh 1."""

    ids: Coded
    labels: Coded
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Assembled:
    """Everything that was added, numbered. No pair is both positive and negative."""

    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    positives: UserItems
    negatives: UserItems
    user_features: Features
    item_features: Features
    user_labels: list[NDArray[Any]]
    item_labels: list[NDArray[Any]]


class UserItemData:
    """Positive and observed-negative interactions, and features, by arbitrary hashable ids.

    Ids of a side are of one kind: integers, strings, floats or another hashable type. Integers,
    strings and floats are numbered in sorted order, so the same rows in another order give the
    same numbers, the same split and the same training run; other ids are numbered by first
    appearance. Users and items that occur only in features belong to the catalogue: they are
    scored from their features.

    A repeated pair counts once; if any interaction of its sign has a weight, weights are added up
    (a row without one weighs 1). A pair that is both positive and negative is positive.

    Args:
        name: Name of the dataset, for records and messages.

    Example:
        >>> data = UserItemData("shop")
        >>> data.add_positive_interactions(["ann", "ann", "bob"], [10, 30, 10])
        >>> data.add_negative_interactions(["bob"], [30])
        >>> data
        UserItemData('shop', n_users=2, n_items=2, n_positives=3, n_negatives=1)
    """

    def __init__(self, name: str = "data"):
        self.name = name
        self.split: SplitSettings | None = None
        self._positives: list[Pairs] = []
        self._negatives: list[Pairs] = []
        self._features: dict[Side, list[Triples]] = {"user": [], "item": []}
        self._known: dict[Side, Coded] = {}
        self._assembled: Assembled | None = None

    def add_positive_interactions(
        self, users: Iterable[Any], items: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add pairs that the user chose, bought or liked; calls append.

        Args:
            users: (n,) id of the user of each pair.
            items: (n,) id of the item of each pair.
            weights: (n,) finite weights above 0; None: all 1.

        Raises:
            DataError: Lengths differ, an id is missing, ids are of two kinds, or a weight is not
                a finite number above 0.
        """
        self._add_pairs(self._positives, "add_positive_interactions", users, items, weights)

    def add_negative_interactions(
        self, users: Iterable[Any], items: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add pairs that the user saw and did not choose (observed negatives); calls append.

        Arguments and errors are those of `add_positive_interactions`.
        """
        self._add_pairs(self._negatives, "add_negative_interactions", users, items, weights)

    def add_user_features(
        self, ids: Iterable[Any], features: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add features of users, one (id, feature, weight) a row; calls append.

        Without any call each user has one feature of its own. ``add_user_features(ids, ids)``
        beside calls with metadata gives both.

        Args:
            ids: (n,) user ids.
            features: (n,) labels: any hashable, of one kind within a call. Columns are ordered by
                kind (first added first), and sorted within integers, strings and floats.
            weights: (n,) finite weights, of any sign; None: all 1. A repeated (id, feature)
                counts once; weights, if any were given for the side, are added up.

        Raises:
            DataError: As for interactions, except that a weight may be 0 or negative.
        """
        self._add_features("user", "add_user_features", ids, features, weights)

    def add_item_features(
        self, ids: Iterable[Any], features: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add features of items; see `add_user_features`."""
        self._add_features("item", "add_item_features", ids, features, weights)

    def split_train_test(
        self, train_ratio: float = 0.8, validation_ratio: float | None = None, seed: int = 0
    ) -> None:
        """Choose the random split within each user that `to_interactions` makes.

        Args:
            train_ratio: Share of each user's positives to learn from, between 0 and 1.
            validation_ratio: Share that search and early stopping look at; None: half of what
                train leaves. The rest is the test part.
            seed: Seed of the split alone.

        Raises:
            DataError: The shares leave no test part or are outside their range.
        """
        if validation_ratio is None:
            validation_ratio = round((1.0 - train_ratio) / 2, 12)
        try:
            self.split = SplitSettings(
                kind="random", train=train_ratio, validation=validation_ratio, seed=seed
            )
        except ValidationError as error:
            raise DataError(
                f"{self.name}: split_train_test: "
                + "; ".join(
                    ": ".join([*map(str, problem["loc"]), f"{problem['msg']} ({problem['input']})"])
                    for problem in error.errors()
                )
            ) from error

    def to_interactions(self, split: SplitSettings | None = None) -> Interactions:
        """Number the ids, split, and return what training reads.

        Args:
            split: The split; None: the one of `split_train_test`, or else the default.

        Raises:
            DataError: There is no positive interaction.
        """
        split = split or self.split or SplitSettings()
        whole = self.assemble()
        if whole.positives.n_pairs == 0:
            raise DataError(
                f"{self.name}: no positive interactions, so nothing to learn from "
                f"({whole.negatives.n_pairs} negative ones). Add some, or lower the threshold "
                "that makes a positive."
            )
        shares = {"train": split.train, "validation": split.validation}
        train, validation, test = split_random(
            whole.positives, **shares, rng=np.random.default_rng([split.seed, 0]), keep_one=True
        )
        negatives = split_random(
            whole.negatives, **shares, rng=np.random.default_rng([split.seed, 1]), keep_one=False
        )
        left = 1.0 - split.train - split.validation
        return Interactions(
            self.name,
            train,
            validation,
            test,
            *negatives,
            user_features=whole.user_features,
            item_features=whole.item_features,
            user_ids=whole.user_ids,
            item_ids=whole.item_ids,
            user_feature_names=_names(whole.user_labels),
            item_feature_names=_names(whole.item_labels),
            split=f"random {split.train:.4g}/{split.validation:.4g}/{left:.4g}, seed {split.seed}",
        )

    @property
    def n_users(self) -> int:
        """Number of distinct users, those with features only included."""
        return len(self.assemble().user_ids)

    @property
    def n_items(self) -> int:
        """Number of distinct items, those with features only included."""
        return len(self.assemble().item_ids)

    @property
    def n_positives(self) -> int:
        """Number of distinct positive pairs."""
        return self.assemble().positives.n_pairs

    @property
    def n_negatives(self) -> int:
        """Number of distinct pairs that are negative only."""
        return self.assemble().negatives.n_pairs

    def __repr__(self) -> str:
        return (
            f"UserItemData({self.name!r}, n_users={self.n_users}, n_items={self.n_items}, "
            f"n_positives={self.n_positives}, n_negatives={self.n_negatives})"
        )

    def assemble(self) -> Assembled:
        """Number everything that was added; kept until the next addition.

        What was repeated or contradictory is counted in the log.
        """
        if self._assembled is None:
            self._assembled = self._assemble()
        return self._assembled

    def _assemble(self) -> Assembled:
        pairs = [*self._positives, *self._negatives]
        user_ids, users = catalogue(
            [*(p.users for p in pairs), *(t.ids for t in self._features["user"])]
        )
        item_ids, items = catalogue(
            [*(p.items for p in pairs), *(t.ids for t in self._features["item"])]
        )
        shape = (len(user_ids), len(item_ids))
        n = len(self._positives)
        positives = _merge(self._positives, users[:n], items[:n], shape)
        negatives = _merge(self._negatives, users[n : len(pairs)], items[n : len(pairs)], shape)
        both = positives.contains(negatives)
        self._report("repeated positive rows", _n_rows(users[:n]) - positives.n_pairs)
        self._report("repeated negative rows", _n_rows(users[n : len(pairs)]) - negatives.n_pairs)
        self._report("pairs both positive and negative, kept as positive", int(both.sum()))
        user_features, user_labels = self._matrix("user", users[len(pairs) :], shape[0])
        item_features, item_labels = self._matrix("item", items[len(pairs) :], shape[1])
        return Assembled(
            user_ids,
            item_ids,
            positives,
            negatives.select(~both),
            user_features,
            item_features,
            user_labels,
            item_labels,
        )

    def _matrix(
        self, side: Side, rows: list[NDArray[np.int64]], n_rows: int
    ) -> tuple[Features, list[NDArray[Any]]]:
        """Features of a side, and its labels: one array a kind, in the order of columns."""
        triples = self._features[side]
        if not triples:
            return Features.identity(n_rows), []
        columns: list[NDArray[np.int64]] = [np.zeros(0, np.int64)] * len(triples)
        labels: list[NDArray[Any]] = []
        width = 0
        for kind in dict.fromkeys(t.labels.kind for t in triples):
            calls = [i for i, t in enumerate(triples) if t.labels.kind == kind]
            distinct, indices = catalogue(triples[i].labels for i in calls)
            for i, index in zip(calls, indices, strict=True):
                columns[i] = index + width
            labels.append(distinct)
            width += len(distinct)
        matrix = _merge(triples, rows, columns, (n_rows, width))
        self._report(f"repeated {side} feature rows", _n_rows(rows) - matrix.n_pairs)
        without = int((matrix.counts == 0).sum())
        if without:
            _log.warning(
                "%s: %d of %d %ss have no feature and score 0", self.name, without, n_rows, side
            )
        values = np.ones(matrix.n_pairs, np.float32) if matrix.weights is None else matrix.weights
        return Features(matrix.indptr, matrix.items, values, width), labels

    def _report(self, what: str, count: int) -> None:
        if count:
            _log.info("%s: %d %s", self.name, count, what)

    def _add_pairs(
        self,
        chunks: list[Pairs],
        call: str,
        users: Iterable[Any],
        items: Iterable[Any],
        weights: ArrayLike | None,
    ) -> None:
        place = f"{self.name}: {call}"
        users_, items_ = encode(users, f"{place}: users"), encode(items, f"{place}: items")
        weights_ = _check_rows(place, ("users", users_), ("items", items_), weights)
        if users_ is None or items_ is None:
            return
        if weights_ is not None:
            _check_positive(place, weights_)
        self._check_kind("user", users_)
        self._check_kind("item", items_)
        chunks.append(Pairs(users_, items_, weights_))
        self._assembled = None

    def _add_features(
        self,
        side: Side,
        call: str,
        ids: Iterable[Any],
        features: Iterable[Any],
        weights: ArrayLike | None,
    ) -> None:
        place = f"{self.name}: {call}"
        ids_, labels = encode(ids, f"{place}: ids"), encode(features, f"{place}: features")
        weights_ = _check_rows(place, ("ids", ids_), ("features", labels), weights)
        if ids_ is None or labels is None:
            return
        self._check_kind(side, ids_)
        self._features[side].append(Triples(ids_, labels, weights_))
        self._assembled = None

    def _check_kind(self, side: Side, ids: Coded) -> None:
        if side in self._known:
            check_same_kind(f"{self.name}: {side}s", self._known[side], ids)
        self._known.setdefault(side, Coded(ids.codes[:0], ids.ids[:1], ids.kind))


def add_chosen_features(
    add: Callable[..., None],
    choice: FeatureChoice,
    ids: NDArray[Any],
    metadata: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    """Add what a ``user_feature`` or ``item_feature`` setting asks for, every weight 1.

    Args:
        add: `UserItemData.add_user_features` or its twin for items.
        choice: indicator: one feature for each id; metadata: only the triples; both: the
            indicator columns, then the metadata columns.
        ids: (n,) all ids of the side.
        metadata: (rows,) ids and (rows,) labels.
    """
    if choice != "metadata":
        add(ids, ids)
    if choice != "indicator":
        add(*metadata)


def _merge(
    chunks: Sequence[Pairs | Triples],
    rows: list[NDArray[np.int64]],
    columns: list[NDArray[np.int64]],
    shape: tuple[int, int],
) -> UserItems:
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
        np.concatenate(rows),
        np.concatenate(columns),
        n_users=shape[0],
        n_items=shape[1],
        weights=weights,
    )


def _n_rows(rows: list[NDArray[np.int64]]) -> int:
    return sum(map(len, rows))


def _names(labels: list[NDArray[Any]]) -> tuple[str, ...]:
    return tuple(str(label) for group in labels for label in group.tolist())


def _check_rows(
    place: str,
    first: tuple[str, Coded | None],
    second: tuple[str, Coded | None],
    weights: ArrayLike | None,
) -> NDArray[np.float32] | None:
    lengths = {name: 0 if c is None else len(c.codes) for name, c in (first, second)}
    weights_ = None
    if weights is not None:
        try:
            weights_ = np.asarray(weights, np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}: weights must be numbers, {error}") from error
        if weights_.ndim != 1:
            raise DataError(f"{place}: weights must be one-dimensional, got {weights_.shape}")
        lengths["weights"] = len(weights_)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n} rows" for name, n in lengths.items())
        raise DataError(f"{place}: all columns must have the same length, but {told}")
    if weights_ is None:
        return None
    with np.errstate(over="ignore"):
        single = weights_.astype(np.float32)
    _refuse_weights(place, ~np.isfinite(single), weights_, "finite")
    return single


def _check_positive(place: str, weights: NDArray[np.float32]) -> None:
    _refuse_weights(place, weights <= 0, weights, "above 0")


def _refuse_weights(place: str, wrong: NDArray[np.bool_], weights: NDArray[Any], rule: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{place}: weights must be {rule}, got {weights[row]} in row {row} "
            f"({int(wrong.sum())} such rows)"
        )
