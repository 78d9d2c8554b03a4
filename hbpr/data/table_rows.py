"""Interactions from the rows of a table with named columns: files, or data frames."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.data.columns import Column, Wanted, read_columns
from hbpr.data.normal import plain_float
from hbpr.data.table_files import Opened
from hbpr.errors import DataError
from hbpr.settings.models import RowsSettings, WeightSettings

_TRUTHS = ("true", "false")


class Known(NamedTuple):
    """Distinct ids, and each as the file shows it."""

    ids: NDArray[Any]
    texts: pd.Index


class Dataset(Protocol):
    """What rows are added to, see `hbpr.data.user_item.UserItemData`, which imports this."""

    def add_positive_interactions(self, *args: Any, **kwargs: Any) -> None:
        """Add pairs that the user chose."""

    def add_negative_interactions(self, *args: Any, **kwargs: Any) -> None:
        """Add pairs that the user saw and did not choose."""

    def add_pages(self, *args: Any, **kwargs: Any) -> None:
        """Add what users were shown together."""

    def transform_weights(self, *args: Any, **kwargs: Any) -> None:
        """Choose what becomes of the weights."""

    def note_left_out(self, *args: Any, **kwargs: Any) -> None:
        """Count rows that were left out."""


def add_rows(
    data: Dataset, files: Sequence[Opened], table: RowsSettings, rating_threshold: float
) -> tuple[Known, Known]:
    """Add the interactions of a table to a dataset.

    Returns:
        Users and items of the rows that were added.

    Raises:
        DataError: A column is not there or cannot be read.
    """
    columns, counts, floats = read_columns(files, _wanted(table, rating_threshold), table.missing)
    users, items = _categories(columns["user"]), _categories(columns["item"])
    place = files[0].file.place
    positive, known = _meaning(place, table, columns, len(users), "event" in floats)
    shown = np.zeros(len(users), bool)
    if table.page is not None:
        shown = np.asarray(_categories(columns["page"]).codes >= 0)
    frequent = _frequent(table, users, items, positive)
    left_out = {f"without {column}": n for column, n in counts.items() if column != "rows"}
    left_out["of other events"] = int((~known & ~shown).sum())
    left_out["of rare users or items"] = int(((known | shown) & ~frequent).sum())
    known &= frequent
    shown &= frequent
    _add_interactions(data, columns, known & positive, known & ~positive, shown)
    if table.weight is not None:
        data.transform_weights(table.weight.transform, table.weight.cap)
    data.note_left_out(left_out, n_rows=counts["rows"])
    met = known | shown
    return _known(users, met, "user" in floats), _known(items, met, "item" in floats)


def _known(ids: pd.Categorical, rows: NDArray[np.bool_], floats: bool) -> Known:
    met = np.zeros(len(ids.categories), bool)
    met[ids.codes[rows]] = True
    distinct = ids.categories[met].to_numpy()
    texts = [str(each) for each in distinct.tolist()]
    if floats:
        texts = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    return Known(distinct, pd.Index(texts))


def _wanted(table: RowsSettings, rating_threshold: float) -> dict[str, Wanted]:
    """What each column that is named is read as."""
    roles: dict[str, Any] = {
        **dict.fromkeys(("user", "item", "event", "page"), "id"),
        "value": "number",
        "time": "time",
        "weight": "number",
        "propensity": "number",
    }
    wanted = {}
    for key, role in roles.items():
        named = getattr(table, key)
        if isinstance(named, WeightSettings):
            named = named.column
        if named is not None:
            columns = (named,) if isinstance(named, str) else named
            at_least = rating_threshold if key == "value" else None
            wanted[key] = Wanted(columns, role, optional=key == "page", at_least=at_least)
    return wanted


def _categories(column: Column) -> pd.Categorical:
    assert isinstance(column, pd.Categorical)  # that is how ids are read
    return column


def _add_interactions(
    data: Dataset,
    columns: dict[str, Column],
    positive: NDArray[np.bool_],
    negative: NDArray[np.bool_],
    shown: NDArray[np.bool_],
) -> None:
    """Add the rows that each (n_rows,) mask names."""

    def of(key: str, rows: NDArray[np.bool_]) -> Any:
        if key not in columns:
            return None
        return columns[key] if rows.all() else columns[key][rows]

    for add, rows in (
        (data.add_positive_interactions, positive),
        (data.add_negative_interactions, negative),
    ):
        add(
            of("user", rows),
            of("item", rows),
            weights=of("weight", rows),
            times=of("time", rows),
            propensities=of("propensity", rows),
        )
    if "page" in columns:
        data.add_pages(
            of("user", shown),
            of("item", shown),
            of("page", shown),
            times=of("time", shown),
            propensities=of("propensity", shown),
        )


def _meaning(
    place: str,
    table: RowsSettings,
    columns: dict[str, Column],
    n_rows: int,
    floats: bool,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n_rows,) whether a row is a positive, and whether it says anything."""
    if table.value is not None:
        return np.asarray(columns["value"], bool), np.ones(n_rows, bool)
    if table.event is None:
        return np.ones(n_rows, bool), np.ones(n_rows, bool)
    events = _categories(columns["event"])
    labels = _as_truths([str(label) for label in events.categories])
    wanted = [str(event) for event in (*table.positive_events, *table.negative_events)]
    if floats:  # the column shows 1.0, which is read as 1
        wanted = [plain_float(event) for event in wanted]
    if set(labels) <= set(_TRUTHS):
        wanted = _as_truths(wanted)
    unknown = [event for event in wanted if event not in labels]
    if unknown:
        raise DataError(
            f"{place}: column {table.event!r} has no {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(map(repr, labels[:20]))}"
        )
    is_positive = np.isin(labels, wanted[: len(table.positive_events)])
    return is_positive[events.codes], np.isin(labels, wanted)[events.codes]


def _as_truths(texts: list[str]) -> list[str]:
    """Return True and TRUE as true, where nothing else is there."""
    lower = [text.lower() for text in texts]
    return lower if set(lower) <= set(_TRUTHS) else texts


def _frequent(
    table: RowsSettings,
    users: pd.Categorical,
    items: pd.Categorical,
    positive: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(n_rows,) whether user and item have positives enough."""
    if table.min_per_user == 1 and table.min_per_item == 1:
        return np.ones(len(users), bool)
    n_users, n_items = len(users.categories), len(items.categories)
    keys = users.codes[positive].astype(np.int64) * n_items + items.codes[positive]
    keys.sort()
    keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    user, item = keys // n_items, keys % n_items
    kept_users, kept_items = np.ones(n_users, bool), np.ones(n_items, bool)
    while True:
        n_before = len(user)
        kept_items &= np.bincount(item, minlength=n_items) >= table.min_per_item
        rows = kept_items[item]
        user, item = user[rows], item[rows]
        kept_users &= np.bincount(user, minlength=n_users) >= table.min_per_user
        rows = kept_users[user]
        user, item = user[rows], item[rows]
        if not table.k_core or len(user) == n_before:
            break
    return np.asarray(kept_users[users.codes] & kept_items[items.codes])
