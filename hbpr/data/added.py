"""What the calls of a dataset added: its columns, checked and factorized, call by call."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbpr.data.ids import Coded, check_same_kind, encode
from hbpr.data.rows import check_propensities, check_times, check_weights, refuse_weights

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
        self.check_kind("user", users_)
        self.check_kind("item", items_)
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
        self.check_kind("user", users_)
        self.check_kind("item", items_)
        self.check_kind("page", pages_)
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
        self.check_kind(side, ids_)
        self.features[side].append(Triples(ids_, labels, weights_, is_own(ids_, labels)))

    def check_kind(self, side: Side | Literal["page"], ids: Coded) -> None:
        """Refuse ids of another kind than the side has already."""
        if side in self._known:
            check_same_kind(f"{self.name}: {side}s", self._known[side], ids)
        self._known.setdefault(side, Coded(ids.codes[:0], ids.ids[:1], ids.kind))


def is_own(ids: Coded, labels: Coded) -> bool:
    """Whether every row's feature is its id."""
    if ids.kind != labels.kind or len(ids.codes) != len(labels.codes):
        return False
    return bool((ids.ids[ids.codes] == labels.ids[labels.codes]).all())
