"""What the calls of a dataset added: its columns, checked and factorized, call by call."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbpr.data.ids import Coded, check_same_kind, encode
from hbpr.data.interactions import Features
from hbpr.data.rows import check_propensities, check_times, check_weights, refuse_weights

if TYPE_CHECKING:
    from hbpr.data.assemble import Assembled

Side = Literal["user", "item"]
#: Sets of pairs that calls add to.
Kind = Literal["positives", "negatives", "test", "candidates"]


@dataclass(frozen=True)
class Pairs:
    """One call's (user, item) rows.

    Weights are None where all weigh 1, times and propensities if they were not given.
    """

    users: Coded
    items: Coded
    weights: NDArray[np.float32] | None = None
    times: NDArray[np.float64] | None = None
    propensities: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Shown:
    """One call's rows of what was shown, and the page of each."""

    pairs: Pairs
    pages: Coded


@dataclass(frozen=True)
class Triples:
    """One call's (id, feature, weight) rows; weights None where all weigh 1.

    `own`: every feature is the id itself, which shares no column with a named feature.
    """

    ids: Coded
    labels: Coded
    weights: NDArray[np.float32] | None
    own: bool = False


@dataclass
class Added:
    """What was added, call by call.

    Attributes:
        name: Name of the dataset, for messages.
        positives: Calls with positive pairs.
        negatives: Calls with negative pairs.
        test: Calls with pairs that are the test part.
        candidates: Calls with pairs that the test part is ranked among.
        shown: Calls with what was shown together.
        features: Calls with features of each side.
    """

    name: str
    positives: list[Pairs] = field(default_factory=list)
    negatives: list[Pairs] = field(default_factory=list)
    test: list[Pairs] = field(default_factory=list)
    candidates: list[Pairs] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    features: dict[Side, list[Triples]] = field(default_factory=lambda: {"user": [], "item": []})
    _known: dict[Side | Literal["page"], Coded] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows of positives and negatives."""
        return sum(len(each.users.codes) for each in self.positives + self.negatives)

    def add_pairs(
        self,
        kind: Kind,
        place: str,
        users: Iterable[Any],
        items: Iterable[Any],
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
        propensities: ArrayLike | None = None,
    ) -> None:
        """Check and add the rows of one call; see `hbpr.data.user_item.UserItemData`."""
        users_ = encode(users, f"{place}: users", to_save=True)
        items_ = encode(items, f"{place}: items", to_save=True)
        weights_ = check_weights(place, {"users": users_, "items": items_}, weights)
        n_rows = 0 if users_ is None else len(users_.codes)
        times_ = check_times(place, n_rows, times)
        logged = check_propensities(place, n_rows, propensities)
        if users_ is None or items_ is None:
            return
        if weights_ is not None:
            refuse_weights(place, weights_ <= 0, weights_, "above 0")
        self._check_kind("user", users_)
        self._check_kind("item", items_)
        chunks: list[Pairs] = getattr(self, kind)
        chunks.append(Pairs(users_, items_, weights_, times_, logged))

    def add_pages(
        self,
        place: str,
        users: Iterable[Any],
        items: Iterable[Any],
        pages: Iterable[Any],
        times: ArrayLike | None = None,
        propensities: ArrayLike | None = None,
    ) -> None:
        """Check and add what one call says was shown."""
        columns = [
            encode(column, f"{place}: {name}", to_save=True)
            for name, column in (("users", users), ("items", items), ("pages", pages))
        ]
        check_weights(place, dict(zip(("users", "items", "pages"), columns, strict=True)), None)
        n_rows = 0 if columns[0] is None else len(columns[0].codes)
        times_ = check_times(place, n_rows, times)
        logged = check_propensities(place, n_rows, propensities)
        users_, items_, pages_ = columns
        if users_ is None or items_ is None or pages_ is None:
            return
        self._check_kind("user", users_)
        self._check_kind("item", items_)
        self._check_kind("page", pages_)
        self.shown.append(Shown(Pairs(users_, items_, None, times_, logged), pages_))

    def add_features(
        self,
        side: Side,
        place: str,
        ids: Iterable[Any],
        features: Iterable[Any],
        weights: ArrayLike | None,
    ) -> None:
        """Check and add the features of one call."""
        ids_ = encode(ids, f"{place}: ids", to_save=True)
        labels = encode(features, f"{place}: features")
        weights_ = check_weights(place, {"ids": ids_, "features": labels}, weights)
        if ids_ is None or labels is None:
            return
        self._check_kind(side, ids_)
        self.features[side].append(Triples(ids_, labels, weights_, _is_own(ids_, labels)))

    def restore(self, whole: "Assembled") -> None:
        """Add what a stored dataset holds."""
        users, items = Coded.of(whole.user_ids), Coded.of(whole.item_ids)
        for chunks, pairs, *values in (
            (
                self.positives,
                whole.positives,
                whole.positive_times,
                whole.positive_propensities,
            ),
            (
                self.negatives,
                whole.negatives,
                whole.negative_times,
                whole.negative_propensities,
            ),
            (self.test, whole.test),
            (self.candidates, whole.candidates),
        ):
            if pairs is not None and pairs.n_pairs:
                rows = users.rows(pairs.users()), items.rows(pairs.items)
                chunks.append(Pairs(*rows, pairs.weights, *values))
        if whole.pages is not None and whole.page_ids is not None:
            page, shown = whole.pages.shown.users(), whole.pages.shown.items
            rows = users.rows(whole.pages.users[page]), items.rows(shown)
            pages = Coded.of(whole.page_ids)
            self._check_kind("page", pages)
            self.shown.append(Shown(Pairs(*rows), pages.rows(page)))
        self._restore_features("user", users, whole.user_features, whole.user_labels)
        self._restore_features("item", items, whole.item_features, whole.item_labels)

    def _restore_features(
        self, side: Side, ids: Coded, features: Features, groups: list[NDArray[Any]]
    ) -> None:
        if len(ids.ids):
            self._check_kind(side, ids)
        rows = np.repeat(np.arange(features.n_rows), np.diff(features.indptr))
        weighted = bool((features.values != 1.0).any())
        start = 0
        for labels in groups:
            column = features.indices - start
            mine = (column >= 0) & (column < len(labels))
            weights = features.values[mine] if weighted else None
            described, named = ids.rows(rows[mine]), Coded.of(labels).rows(column[mine])
            own = _is_own(described, named)
            self.features[side].append(Triples(described, named, weights, own))
            start += len(labels)

    def _check_kind(self, side: Side | Literal["page"], ids: Coded) -> None:
        if side in self._known:
            check_same_kind(f"{self.name}: {side}s", self._known[side], ids)
        self._known.setdefault(side, Coded(ids.codes[:0], ids.ids[:1], ids.kind))


def _is_own(ids: Coded, labels: Coded) -> bool:
    """Whether every row's feature is its id."""
    if ids.kind != labels.kind or len(ids.codes) != len(labels.codes):
        return False
    return bool((ids.ids[ids.codes] == labels.ids[labels.codes]).all())
