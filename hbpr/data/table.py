"""Interactions and features from any CSV or Parquet table with named columns."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.data.columns import Column, Role, check_columns, column_names, read_columns
from hbpr.data.user_item import UserItemData, add_chosen_features
from hbpr.errors import DataError
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import FeatureTableSettings, TableSettings

_log = logging.getLogger(__name__)


def load_table(
    table: TableSettings,
    *,
    name: str = "table",
    rating_threshold: float = 4.0,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
) -> UserItemData:
    """Read interactions, and features if they are asked for.

    Every row is a positive, unless ``table.value`` (at or above the threshold: positive; below:
    observed negative) or ``table.event`` says what it is. Rows with a missing id, value, event,
    time or weight are left out, and so are rows of other events, repeated positives, and users and
    items below the minima: a warning counts them.

    With ``table.page`` every row that has a page also says that its item was shown there, rows of
    other events too: what a user was shown and never chose is an observed negative.

    The minima count distinct positive pairs: items with too few go first, then users; with
    ``k_core`` that is repeated until both minima hold. With an item its negatives go too.

    Args:
        table: File and columns.
        name: Name of the dataset.
        rating_threshold: For ``table.value``.
        item_feature: indicator; metadata or both need ``table.item_features``.
        user_feature: indicator; metadata or both need ``table.user_features``.

    Raises:
        DatasetMissingError: A file is not there.
        DataError: A column is not there or cannot be read, or nothing is left.
    """
    columns, counts = read_columns(
        Path(table.path).expanduser(),
        _roles(table),
        delimiter=table.delimiter,
        may_be_missing=() if table.page is None else (table.page,),
    )
    users, items = _categories(columns[table.user]), _categories(columns[table.item])
    positive, known = _meaning(table, columns, len(users), rating_threshold)
    shown = np.zeros(len(users), bool)
    if table.page is not None:
        shown = np.asarray(_categories(columns[table.page]).codes >= 0)
    frequent = _frequent(table, users, items, positive)
    told = {f"without {column}": n for column, n in counts.items() if column != "rows"}
    told["of other events"] = int((~known & ~shown).sum())
    told["of rare users or items"] = int(((known | shown) & ~frequent).sum())
    known &= frequent
    shown &= frequent
    data = UserItemData(name)
    _add_interactions(data, table, columns, known & positive, known & ~positive, shown)
    met = known | shown
    for side, choice, settings, add_features, ids in (
        ("user", user_feature, table.user_features, data.add_user_features, users[met]),
        ("item", item_feature, table.item_features, data.add_item_features, items[met]),
    ):
        if choice == "indicator":
            continue
        if settings is None:
            raise DataError(
                f"data.{side}_feature: {choice} needs data.table.{side}_features, the file that "
                f"describes {side}s"
            )
        _add_features(side, add_features, choice, settings, ids, table.delimiter)
    told["repeated" if table.weight is None else "repeated (their weights add up)"] = (
        int((known & positive).sum()) - data.n_positives
    )
    left_out = ", ".join(f"{n:,} {what}" for what, n in told.items() if n)
    _log.log(
        logging.WARNING if left_out else logging.INFO,
        "%s: %s rows, %s positives; left out: %s",
        *(name, f"{counts['rows']:,}", f"{data.n_positives:,}", left_out or "none"),
    )
    return data


def _roles(table: TableSettings) -> dict[str, Role]:
    """What each column that is named is read as."""
    named: list[tuple[str | None, Role]] = [
        (table.user, "id"),
        (table.item, "id"),
        (table.event, "id"),
        (table.page, "id"),
        (table.value, "number"),
        (table.time, "time"),
        (table.weight, "number"),
    ]
    roles: dict[str, Role] = {}
    for column, role in named:
        if column is None:
            continue
        if column in roles:
            raise DataError(f"data.table: the column {column!r} is named twice")
        roles[column] = role
    return roles


def _categories(column: Column) -> pd.Categorical:
    assert isinstance(column, pd.Categorical)  # that is how ids are read
    return column


def _add_interactions(
    data: UserItemData,
    table: TableSettings,
    columns: dict[str, Column],
    positive: NDArray[np.bool_],
    negative: NDArray[np.bool_],
    shown: NDArray[np.bool_],
) -> None:
    """Add the rows that each (n_rows,) mask names."""

    def of(column: str | None, rows: NDArray[np.bool_]) -> Any:
        if column is None:
            return None
        return columns[column] if rows.all() else columns[column][rows]

    for add, rows in (
        (data.add_positive_interactions, positive),
        (data.add_negative_interactions, negative),
    ):
        add(
            of(table.user, rows),
            of(table.item, rows),
            weights=of(table.weight, rows),
            times=of(table.time, rows),
        )
    if table.page is not None:
        data.add_pages(
            of(table.user, shown),
            of(table.item, shown),
            of(table.page, shown),
            times=of(table.time, shown),
        )


def _meaning(
    table: TableSettings,
    columns: dict[str, Column],
    n_rows: int,
    rating_threshold: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n_rows,) whether a row is a positive, and whether it says anything."""
    if table.value is not None:
        return np.asarray(columns[table.value]) >= rating_threshold, np.ones(n_rows, bool)
    if table.event is None:
        return np.ones(n_rows, bool), np.ones(n_rows, bool)
    events = _categories(columns[table.event])
    labels = [str(label) for label in events.categories]
    wanted = [str(event) for event in (*table.positive_events, *table.negative_events)]
    unknown = [event for event in wanted if event not in labels]
    if unknown:
        raise DataError(
            f"{table.path}: column {table.event!r} has no {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(map(repr, labels[:20]))}"
        )
    is_positive = np.isin(labels, wanted[: len(table.positive_events)])
    return is_positive[events.codes], np.isin(labels, wanted)[events.codes]


def _frequent(
    table: TableSettings,
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


def _add_features(
    side: str,
    add: Callable[..., None],
    choice: FeatureChoice,
    settings: FeatureTableSettings,
    ids: pd.Categorical,
    delimiter: str,
) -> None:
    path = Path(settings.path).expanduser()
    wanted = settings.columns
    if wanted is None:
        names = column_names(path, delimiter=delimiter)
        wanted = tuple(name for name in names if name != settings.id)
    check_columns(path, [settings.id, *wanted], delimiter=delimiter)
    known = ids.remove_unused_categories().categories
    found, labels = [], []
    for column in wanted:
        columns, _ = read_columns(path, {settings.id: "id", column: "id"}, delimiter=delimiter)
        values = _categories(columns[column])
        rows = pd.DataFrame({"id": np.asarray(columns[settings.id]), "label": np.asarray(values)})
        if known.dtype == object and rows["id"].dtype != object:
            rows["id"] = rows["id"].astype(str)  # ids that are integers here only
        rows = rows[rows["id"].isin(known)]
        rows["label"] = rows["label"].astype(str)
        if settings.separator is not None:
            rows["label"] = rows["label"].str.split(settings.separator, regex=False)
            rows = rows.explode("label")
        rows = rows[rows["label"].str.strip() != ""]
        found.append(rows["id"].to_numpy())
        labels.append((f"{column}=" + rows["label"].str.strip()).to_numpy(object))
    described = np.concatenate(found)
    if not len(described):
        raise DataError(
            f"{path}: no {side} of the interactions is described; ids there look like "
            f"{known[:1].tolist()}"
        )
    add_chosen_features(
        add, choice, known.to_numpy(), (described, np.concatenate(labels).astype(object))
    )
