"""Tables that describe users or items: labels, lists of labels and numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hbpr.data import normal
from hbpr.data.columns import JOINT, check_columns, plain_floats
from hbpr.data.table_files import Opened, open_table
from hbpr.data.table_rows import Known
from hbpr.data.text_files import TextForm
from hbpr.errors import DataError
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import FeatureTableSettings, TableSettings

_SCALED: Final = "scaled"


@dataclass
class _Found:
    """What a table says of known users or items.

    Attributes:
        texts: By column, (id, text, weight or None) arrays.
        left_out: How many rows or values say nothing, by reason.
    """

    texts: dict[str, list[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]]] = field(
        default_factory=dict
    )
    left_out: dict[str, int] = field(default_factory=dict)

    def count(self, reason: str, n: int) -> None:
        if n:
            self.left_out[reason] = self.left_out.get(reason, 0) + n

    def labels(
        self, name: str
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]]:
        """Yield (id, label, weight or None) arrays of a column.

        Where a text file shows every value as a float, whole ones are integers, as with ids.
        """
        coded = [pd.factorize(texts) for _, texts, _ in self.texts[name]]
        distinct = sorted({text for _, some in coded for text in some})
        plain = plain_floats(pa.array(distinct, pa.string()))
        shown = {} if plain is None else dict(zip(distinct, plain.to_pylist(), strict=True))
        for (ids, _, weights), (codes, some) in zip(self.texts[name], coded, strict=True):
            labels = np.array([f"{name}={shown.get(text, text)}" for text in some], object)
            yield ids, labels[codes], weights


def add_features(
    side: str,
    add: Callable[..., None],
    choice: FeatureChoice,
    table: TableSettings,
    known: Known,
) -> dict[str, int]:
    """Add what a table says of the users or items that the interactions hold.

    Ids are compared by their text: integers here and texts there are reconciled.

    Args:
        side: user or item.
        add: `UserItemData.add_user_features` or its twin for items.
        choice: metadata or both.
        table: The settings.
        known: Ids of the interactions.

    Returns:
        What was left out, by reason.

    Raises:
        DataError: The table cannot be read, describes nobody, or writes the same ids otherwise.
    """
    settings: FeatureTableSettings | None = getattr(table, f"{side}_features")
    if settings is None:
        raise DataError(
            f"data.{side}_feature: {choice} needs data.table.{side}_features, the file that "
            f"describes {side}s"
        )
    ids, by_text = known
    place = settings.path if isinstance(settings.path, str) else ", ".join(settings.path)
    found = _Found()
    met = np.zeros(len(ids), bool)
    strange: set[str] = set()
    numbers: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for file, batch in _batches(side, settings, table):
        rows = _rows(file, batch, settings, table, found, side)
        at = _places(rows, by_text)
        strange.update(rows[(at < 0) & rows.notna().to_numpy()].unique().tolist())
        found.count(f"{side} features of unknown {side}s", int((at < 0).sum() - rows.isna().sum()))
        met[at[at >= 0]] = True
        _read_labels(file, batch, settings, table, (ids, at), found, side)
        for name in settings.numeric:
            column = normal.numbers(
                batch.column(name), _where(file, name), _missing(settings, table)
            )
            value = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
            kept = (at >= 0) & ~np.isnan(value)
            found.count(f"{side} features without {name}", int(((at >= 0) & np.isnan(value)).sum()))
            numbers.setdefault(name, []).append((at[kept], value[kept]))
    _refuse_other_spelling(side, place, table, by_text[~met], strange)
    if not met.any():
        raise DataError(
            f"{place}: no {side} of the interactions is described; ids there look like "
            f"{ids[:1].tolist()}, here like {sorted(strange)[:1]}"
        )
    found_labels = [each for name in found.texts for each in found.labels(name)]
    for name, parts in numbers.items():
        at, value = (np.concatenate(each) for each in zip(*parts, strict=True))
        if len(at):
            found_labels.append((ids[at], *_of_numbers(name, value, settings.numeric[name])))
    if choice != "metadata":
        add(ids, ids)
    for weighted in (False, True):
        labels = [each for each in found_labels if (each[2] is not None) == weighted]
        if labels:
            described, names, weights = zip(*labels, strict=True)
            add(
                np.concatenate(described),
                np.concatenate(names).astype(object),
                np.concatenate(weights) if weighted else None,
            )
    return found.left_out


def _places(rows: "pd.Series[str]", by_text: pd.Index) -> NDArray[np.intp]:
    """(n_rows,) place of each id among the known ones; -1: it is none of them."""
    if "-0.0" not in by_text:
        rows = rows.replace("-0.0", "0.0")  # one float
    return by_text.get_indexer(pd.Index(rows))


def _batches(
    side: str, settings: FeatureTableSettings, table: TableSettings
) -> Iterator[tuple[Opened, pa.RecordBatch]]:
    form = TextForm(
        settings.delimiter or table.delimiter,
        settings.encoding or table.encoding,
        settings.quote,
        settings.header,
        f"data.table.{side}_features",
    )
    paths = (settings.path,) if isinstance(settings.path, str) else settings.path
    for file in open_table(paths, form):
        wanted = [*_id_columns(settings), *_label_columns(file, settings), *settings.numeric]
        if settings.weight is not None:
            wanted.append(settings.weight)
        wanted = list(dict.fromkeys(wanted))
        check_columns(file, wanted)
        for batch in file.batches(wanted, wanted):
            yield file, batch


def _id_columns(settings: FeatureTableSettings) -> tuple[str, ...]:
    return (settings.id,) if isinstance(settings.id, str) else settings.id


def _label_columns(file: Opened, settings: FeatureTableSettings) -> list[str]:
    if settings.feature is not None:
        return [settings.feature]
    wanted = file.names if settings.columns is None else settings.columns
    return [n for n in wanted if n not in settings.numeric and n not in _id_columns(settings)]


def _missing(settings: FeatureTableSettings, table: TableSettings) -> Sequence[str]:
    return table.missing if settings.missing is None else settings.missing


def _where(file: Opened, name: str) -> str:
    return f"{file.file.place}: column {name!r}"


def _rows(
    file: Opened,
    batch: pa.RecordBatch,
    settings: FeatureTableSettings,
    table: TableSettings,
    found: _Found,
    side: str,
) -> "pd.Series[str]":
    """(n_rows,) the id of each row as text; missing ones are counted."""
    missing = _missing(settings, table)
    parts = [
        normal.ids(batch.column(name), _where(file, name), missing).cast(pa.string())
        for name in _id_columns(settings)
    ]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, JOINT)
    rows: pd.Series[str] = joined.to_pandas()
    found.count(
        f"{side} features without {'+'.join(_id_columns(settings))}", int(rows.isna().sum())
    )
    return rows


def _read_labels(
    file: Opened,
    batch: pa.RecordBatch,
    settings: FeatureTableSettings,
    table: TableSettings,
    known: tuple[NDArray[Any], NDArray[np.intp]],
    found: _Found,
    side: str,
) -> None:
    """Add the labels of a batch; those of unknown ids and missing ones are left out."""
    ids, at = known
    missing = _missing(settings, table)
    weights = None
    if settings.weight is not None:
        column = normal.numbers(
            batch.column(settings.weight), _where(file, settings.weight), missing
        )
        weights = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
        lacking = (at >= 0) & np.isnan(weights)
        found.count(f"{side} features without {settings.weight}", int(lacking.sum()))
        at = np.where(np.isnan(weights), -1, at)
    for name in _label_columns(file, settings):
        rows, column = _flat(batch.column(name))
        coded = normal.ids(column, _where(file, name), missing)
        texts = [part.strip() for part in coded.dictionary.to_pylist()]
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        codes = np.asarray(codes, np.int64)
        blank = np.array([not text for text in texts], bool)
        codes[np.append(blank, False)[codes]] = -1
        lacking = (at[rows] >= 0) & (codes < 0)
        found.count(f"{side} features without {name}", int(lacking.sum()))
        kept = (at[rows] >= 0) & (codes >= 0)
        rows, codes = rows[kept], codes[kept]
        if settings.separator is not None:
            texts, rows, codes = _split(texts, rows, codes, settings.separator)
        values = np.array(texts, object)[codes] if texts else np.zeros(0, object)
        found.texts.setdefault(name, []).append(
            (ids[at[rows]], values, None if weights is None else weights[rows])
        )


def _flat(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the row of each value: several of a row where the column is of lists."""
    kind = column.type
    if pa.types.is_dictionary(kind) and pa.types.is_nested(kind.value_type):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        return rows.astype(np.int64), pc.list_flatten(column)
    return np.arange(len(column)), column


def _split(
    texts: list[str], rows: NDArray[np.int64], codes: NDArray[np.int64], separator: str
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return texts, rows and codes of the parts of each text; blank parts go."""
    parts = [[p.strip() for p in text.split(separator) if p.strip()] for text in texts]
    n_parts = np.array([len(each) for each in parts], np.int64)
    starts = np.append(0, np.cumsum(n_parts))
    again = np.repeat(np.arange(len(rows)), n_parts[codes])
    first = np.repeat(np.cumsum(n_parts[codes]) - n_parts[codes], n_parts[codes])
    flat = starts[codes[again]] + np.arange(len(again)) - first
    names, places = np.unique([p for each in parts for p in each] or [""], return_inverse=True)
    return names.tolist(), rows[again], places[flat]


def _of_numbers(
    name: str, values: NDArray[np.float64], form: str | int
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Labels, and weights, of the numbers of known ids."""
    if form == _SCALED:
        deviation = values.std()
        scaled = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
        return np.full(len(values), name, object), scaled
    assert isinstance(form, int)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, form + 1)))
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    last = len(edges) - 1
    names = [f"{name}={edges[k]:g}..{edges[min(k + 1, last)]:g}" for k in range(max(last, 1))]
    return np.array(names, object)[bins], None


def _refuse_other_spelling(
    side: str, place: str, table: TableSettings, undescribed: pd.Index, strange: set[str]
) -> None:
    """Refuse ids that are the same number in both files, written otherwise.

    Raises:
        DataError: There are some; the message shows one of each file.
    """
    numbers = {number: text for text in undescribed if (number := _number(text)) is not None}
    for text in sorted(strange):
        number = _number(text)
        if number is not None and number in numbers:
            path = table.path if isinstance(table.path, str) else ", ".join(table.path)
            raise DataError(
                f"{side} ids are written in two ways: {numbers[number]!r} in {path}, {text!r} in "
                f"{place}. Write them alike in both files"
            )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
