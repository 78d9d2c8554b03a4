"""A dataset under construction: interactions and features by the ids of your tables."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from hbpr.data import storage
from hbpr.data.added import Added
from hbpr.data.assemble import Assembled, assemble
from hbpr.data.interactions import Interactions
from hbpr.data.parts import to_interactions
from hbpr.data.restore import restore
from hbpr.data.weights import transformed, warn_if_wide
from hbpr.errors import DataError
from hbpr.settings.models import (
    Candidates,
    RowsSettings,
    SplitSettings,
    WeightSettings,
    WeightTransform,
)
from hbpr.settings.problems import describe

if TYPE_CHECKING:
    from hbpr.data.describe import Description

_log = logging.getLogger(__name__)


class UserItemData:
    """Positive and observed-negative interactions, and features, by the ids of your tables.

    Ids of a side are of one kind: integers, strings or floats (bytes that are UTF-8 become
    strings, whole decimals integers); what a trained system could not save is refused. They are
    numbered in sorted order, so the same rows in another order give the same numbers, the same
    split and the same training run. Users and items that occur only in features belong to the
    catalogue: they are scored from their features.

    A repeated pair counts once; if any interaction of its sign has a weight, weights are added up
    (a row without one weighs 1), and its time is the earliest. A pair that is both positive and
    negative is positive. What a user was shown on a page, and never chose, is negative too.

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
        self._weighing: tuple[WeightTransform, float | None] = ("none", None)
        self._added = Added(name)
        self._item_names: dict[Any, str] = {}
        self._assembled: Assembled | None = None
        self._left_out: dict[str, int] = {}
        self._n_rows: int | None = None
        self._reported = ""

    @classmethod
    def from_frame(
        cls, frame: Any, *, name: str = "data", rating_threshold: float = 3.5, **columns: Any
    ) -> Self:
        """Make a dataset of a data frame of interactions, one row each.

        Values mean what they mean in a file, see `hbpr.data.load_table`: an id is the text that a
        file would show, whole floats are integers, NaN is missing, and rows that are left out are
        counted in one line.

        Args:
            frame: A table of pandas, polars or Arrow, or a mapping of names to columns.
            name: Name of the dataset.
            rating_threshold: A value at or above it is a positive, one below an observed negative.
            **columns: The meaning of the columns by the keys of ``data.table``, such as
                ``user="customer", item="sku", time="at", min_per_user=5``; user and item are the
                columns of these names, if left out.

        Raises:
            DataError: A key is unknown, or a column is not there or cannot be read.

        Example:
            >>> sold = {"customer": ["ann", "ann", "bob"], "sku": [10, 30, 10]}
            >>> UserItemData.from_frame(sold, user="customer", item="sku")
            UserItemData('data', n_users=2, n_items=2, n_positives=3, n_negatives=0)
        """
        from hbpr.data.frames import open_frame
        from hbpr.data.table_rows import add_rows

        place = f"{name}: from_frame"
        try:
            rows = RowsSettings.model_validate(columns)
        except ValidationError as error:
            raise DataError(describe(error, RowsSettings, lambda key: f"{place}: {key}")) from None
        data = cls(name)
        add_rows(data, open_frame(frame, place), rows, rating_threshold)
        return data

    def describe(self) -> "Description":
        """Return users, items, density, degrees, times and what was left out; print it to read."""
        from hbpr.data.describe import describe as describe_data

        return describe_data(self.name, self.assemble(), self.left_out)

    def add_positive_interactions(
        self,
        users: Iterable[Any],
        items: Iterable[Any],
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
        propensities: ArrayLike | None = None,
    ) -> None:
        """Add pairs that the user chose, bought or liked; calls append.

        Args:
            users: (n,) id of the user of each pair.
            items: (n,) id of the item of each pair.
            weights: (n,) finite weights above 0; None: all 1.
            times: (n,) numbers that rise with time, or datetimes (naive ones are UTC) as numpy,
                pandas, polars, Arrow or a list holds them; None: not known, and then a split by
                time is refused.
            propensities: (n,) probabilities, above 0 and at most 1, with which each row was
                logged; None: not known. With those of the negatives, metrics are also estimated by
                their inverse, see `hbpr.evaluation.propensity`.

        Raises:
            DataError: Lengths differ, an id or a time is missing, ids are of two kinds, or a
                weight is not a finite number above 0.
        """
        place = f"{self.name}: add_positive_interactions"
        values = (weights, times, propensities)
        self._added.add_pairs("positives", place, users, items, *values)
        self._assembled = None

    def add_negative_interactions(
        self,
        users: Iterable[Any],
        items: Iterable[Any],
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
        propensities: ArrayLike | None = None,
    ) -> None:
        """Add pairs that the user saw and did not choose (observed negatives); calls append.

        Arguments and errors are those of `add_positive_interactions`.
        """
        place = f"{self.name}: add_negative_interactions"
        values = (weights, times, propensities)
        self._added.add_pairs("negatives", place, users, items, *values)
        self._assembled = None

    def add_pages(
        self,
        users: Iterable[Any],
        items: Iterable[Any],
        pages: Iterable[Any],
        times: ArrayLike | None = None,
        propensities: ArrayLike | None = None,
    ) -> None:
        """Add what users were shown together, one (user, item, page) a row; calls append.

        Chosen items are positives of `add_positive_interactions` as ever; the others become
        observed negatives. What is on a page and what was chosen of it tells neighbours by taste
        from neighbours by page, see `hbpr.evaluation.page_shares`.

        Args:
            users: (n,) user ids.
            items: (n,) id of an item that the user was shown; a repeated one counts once a page.
            pages: (n,) id of the page, list or session. It belongs to its user: the same id of
                two users is two pages.
            times: As for interactions; they are the times of the negatives that come of it.
            propensities: The same.

        Raises:
            DataError: As for interactions.
        """
        place = f"{self.name}: add_pages"
        self._added.add_pages(place, users, items, pages, times, propensities)
        self._assembled = None

    def hold_out_for_test(self, users: Iterable[Any], items: Iterable[Any]) -> None:
        """Name pairs that are the test part of a split of kind ``fixed``; calls append.

        They part interactions that are added beside, positive and negative ones.

        Args:
            users: (n,) user ids.
            items: (n,) item ids.

        Raises:
            DataError: As for interactions.
        """
        self._added.add_pairs("test", f"{self.name}: hold_out_for_test", users, items)
        self._assembled = None

    def add_test_candidates(self, users: Iterable[Any], items: Iterable[Any]) -> None:
        """Name items that each user's test items are ranked among (candidates ``fixed``).

        Calls append; arguments and errors are those of `hold_out_for_test`.
        """
        self._added.add_pairs("candidates", f"{self.name}: add_test_candidates", users, items)
        self._assembled = None

    def add_user_features(
        self, ids: Iterable[Any], features: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add features of users, one (id, feature, weight) a row; calls append.

        Without any call each user has one feature of its own. ``add_user_features(ids, ids)``
        beside calls with metadata gives both: own features share no column with named ones, also
        where a label looks like an id.

        Args:
            ids: (n,) user ids.
            features: (n,) labels: any hashable, of one kind within a call. Columns are ordered by
                kind (first added first), and sorted within integers, strings and floats.
            weights: (n,) finite weights, of any sign; None: all 1. A repeated (id, feature)
                counts once; weights, if any were given for the side, are added up.

        Raises:
            DataError: As for interactions, except that a weight may be 0 or negative.
        """
        place = f"{self.name}: add_user_features"
        self._added.add_features("user", place, ids, features, weights)
        self._assembled = None

    def add_item_features(
        self, ids: Iterable[Any], features: Iterable[Any], weights: ArrayLike | None = None
    ) -> None:
        """Add features of items; see `add_user_features`."""
        place = f"{self.name}: add_item_features"
        self._added.add_features("item", place, ids, features, weights)
        self._assembled = None

    def add_item_names(self, ids: Iterable[Any], names: Iterable[str]) -> None:
        """Say what people call items, such as titles: shown beside ids, never learnt from.

        Args:
            ids: (n,) ids; those that are in nothing else are passed over.
            names: (n,) names; a later one replaces an earlier one.
        """
        plain = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        self._item_names |= dict(zip(plain, map(str, names), strict=True))

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

    def transform_weights(self, transform: WeightTransform, cap: float | None = None) -> None:
        """Choose what `to_interactions` makes of the weights of interactions.

        It sees a pair's weight with repeated rows added up; rows without a weight weigh 1.

        Args:
            transform: log1p: log(1 + w); sqrt; cap: at most `cap`; none: as they are.
            cap: The largest weight, above 0; for cap alone.

        Raises:
            DataError: The transform is unknown, or it and `cap` do not fit.
        """
        try:
            chosen = WeightSettings(column="weights", transform=transform, cap=cap)
        except ValidationError as error:
            place = f"{self.name}: transform_weights"
            raise DataError(
                describe(error, WeightSettings, lambda key: f"{place}: {key}" if key else place)
            ) from None
        self._weighing = (chosen.transform, chosen.cap)

    def to_interactions(
        self, split: SplitSettings | None = None, *, candidates: Candidates = "all"
    ) -> Interactions:
        """Number the ids, split, and return what training reads.

        Args:
            split: The split; None: the one of `split_train_test`, or else the default.
            candidates: What held-out items are ranked among, see `hbpr.data.parts`.

        Raises:
            DataError: There is no positive interaction, or the data lack what the split or the
                candidates need.
        """
        whole = self.assemble()
        positives = transformed(whole.positives, *self._weighing)
        warn_if_wide(self.name, positives, self._weighing[0])
        negatives = transformed(whole.negatives, *self._weighing)
        whole = dataclasses.replace(whole, positives=positives, negatives=negatives)
        data = to_interactions(self.name, whole, split or self.split or SplitSettings(), candidates)
        names: tuple[str, ...] = ()
        if self._item_names:
            names = tuple(self._item_names.get(each, "") for each in whole.item_ids.tolist())
        return dataclasses.replace(data, left_out=self.left_out, item_names=names)

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

    def note_left_out(self, reasons: Mapping[str, int], *, n_rows: int | None = None) -> None:
        """Count rows that a loader left out, for the one line that reports them.

        Args:
            reasons: How many, by reason.
            n_rows: Rows that the loader read.
        """
        for reason, n in reasons.items():
            self._left_out[reason] = self._left_out.get(reason, 0) + n
        if n_rows is not None:
            self._n_rows = (self._n_rows or 0) + n_rows
        self._assembled = None

    @property
    def left_out(self) -> dict[str, int]:
        """Rows that did not become a pair of their own, by reason."""
        merged = self.assemble().merged
        return {reason: n for reason, n in {**self._left_out, **merged}.items() if n}

    def assemble(self) -> Assembled:
        """Number everything that was added; kept until the next addition.

        One line reports what was left out, repeated or contradictory: a warning if anything was.
        """
        if self._assembled is None:
            self._assembled = assemble(self.name, self._added)
            self._report()
        return self._assembled

    def _report(self) -> None:
        left_out = ", ".join(f"{n:,} {reason}" for reason, n in self.left_out.items())
        n_rows = self._n_rows
        if n_rows is None:
            n_rows = self._added.n_rows
        line = (
            f"{self.name}: {n_rows:,} rows, {self.n_positives:,} positives; "
            f"left out: {left_out or 'none'}"
        )
        if line != self._reported:
            _log.log(logging.WARNING if left_out else logging.INFO, "%s", line)
        self._reported = line

    def save(self, path: str | Path) -> None:
        """Write everything, and what was chosen, into one ``.npz`` file (JSON inside, no pickle).

        The file appears, or is replaced, only once it is complete.

        Args:
            path: The file; its folder is made if it does not exist.

        Raises:
            DataError: Ids or feature labels are not integers, strings or floats.
        """
        whole, names = self.assemble(), self._item_names
        stored = storage.Stored(self.name, whole, self.split, self._weighing, names)
        storage.write(Path(path), stored)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; it can be added to.

        Raises:
            DatasetMissingError: There is no such file.
            DataError: The file was not written by `save`, or is broken.
        """
        name, whole, split, weighing, item_names = storage.read(Path(path))
        data = cls(name)
        data.split, data._weighing, data._item_names = split, weighing, dict(item_names)
        restore(data._added, whole)
        return data
