"""Columns of tables by their role, read in batches and without a Python loop over rows.

Ids are kept as Arrow dictionaries: a code for every row and each distinct value once, so that ten
million rows of text cost 40 MB a column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hbpr.data import normal
from hbpr.data.table_files import Opened
from hbpr.errors import DataError

#: What a column is read as: ids by their distinct values, numbers, or times (numbers or dates).
Role = Literal["id", "number", "time"]
#: A column as it is read: ids as categoricals, numbers and times as float64, thresholds as bool.
Column = pd.Categorical | NDArray[np.float64] | NDArray[np.bool_]

#: Joins the parts of an id that several columns make.
JOINT: Final = "|"


@dataclass(frozen=True)
class Wanted:
    """A column to read.

    Attributes:
        columns: Its name; several make one id.
        role: What it is read as.
        optional: Whether a row may lack it: code -1 or NaN.
        at_least: Of a number: read whether it is at least this.
    """

    columns: tuple[str, ...]
    role: Role
    optional: bool = False
    at_least: float | None = None

    @property
    def name(self) -> str:
        """The name for messages."""
        return "+".join(self.columns)


@dataclass
class _Group:
    """Some chunks of codes over one dictionary."""

    texts: pa.StringArray
    chunks: list[NDArray[np.int32]]

    def add(self, other: "_Group") -> None:
        """Take the chunks of another group, whose texts are numbered as here or after them."""
        known = pc.index_in(other.texts, value_set=self.texts)
        new = other.texts.filter(known.is_null())
        numbers = np.array(known.fill_null(-1), np.int32)
        numbers[numbers < 0] = np.arange(len(self.texts), len(self.texts) + len(new))
        numbers = np.append(numbers, np.int32(-1))  # the last place is that of a missing one
        self.texts = pa.concat_arrays([self.texts, new])
        while other.chunks:
            self.chunks.append(numbers[other.chunks.pop(0)])

    @property
    def n_rows(self) -> int:
        return sum(map(len, self.chunks))


@dataclass
class _Ids:
    """The codes of one column: groups of chunks, where two alike in size become one."""

    groups: list[_Group] = field(default_factory=list)

    def add(self, chunk: pa.DictionaryArray) -> None:
        codes = chunk.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        self.groups.append(_Group(chunk.dictionary, [codes]))
        while len(self.groups) > 1 and self.groups[-2].n_rows <= self.groups[-1].n_rows:
            self._merge()

    def _merge(self) -> None:
        last = self.groups.pop()
        self.groups[-1].add(last)

    def finished(self) -> pd.Categorical:
        """All codes: of integers where all ids are integers as they are written, else of text."""
        if not self.groups:
            return pd.Categorical([])
        while len(self.groups) > 1:
            self._merge()
        (group,) = self.groups
        codes = _joined_chunks(group.chunks)
        texts = group.texts
        used = np.zeros(len(texts) + 1, bool)
        used[codes] = True  # the last place is that of -1
        if not used[:-1].all():
            texts = texts.filter(pa.array(used[:-1]))
            codes = np.append((np.cumsum(used[:-1], dtype=np.int32) - 1), np.int32(-1))[codes]
        distinct = _integers(texts).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=pd.Index(distinct), validate=False)


def _joined_chunks(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    """Return chunks as one array; each is let go once it is copied."""
    if len(chunks) == 1:
        return chunks.pop()
    joined = np.empty(sum(map(len, chunks)), chunks[0].dtype)
    at = 0
    while chunks:
        chunk = chunks.pop(0)
        joined[at : at + len(chunk)] = chunk
        at += len(chunk)
    return joined


def read_columns(
    files: Sequence[Opened], wanted: Mapping[str, Wanted], missing: Sequence[str] = ("",)
) -> tuple[dict[str, Column], dict[str, int]]:
    """Read some columns of a table, leaving out rows in which one of them is missing.

    Args:
        files: The files of the table.
        wanted: What to read, by a name of the caller's.
        missing: Texts that stand for a missing value.

    Returns:
        The columns by the caller's names, with one row for each row that is complete: ids as
        categoricals (of integers where all are integers, else of text; code -1 where one may be
        missing and is), numbers and times as float64 (NaN). And counts: ``rows`` in the files, and
        of each column that has any, the rows left out because it was the first to be missing.

    Raises:
        DataError: A column is not there, or is not what its role needs.
    """
    names = list(dict.fromkeys(name for each in wanted.values() for name in each.columns))
    texts = {name for each in wanted.values() if each.role == "id" for name in each.columns}
    # A column of two roles is read as it stands, so that neither sees the other's form.
    both = {name for each in wanted.values() if each.role != "id" for name in each.columns}
    counts = {"rows": 0}
    ids = {key: _Ids() for key, each in wanted.items() if each.role == "id"}
    numbers: dict[str, list[NDArray[Any]]] = {key: [] for key in wanted if key not in ids}
    forms: dict[str, tuple[normal.Form, str]] = {}
    for file in files:
        check_columns(file, names)
        for batch in file.batches(names, sorted(texts - both)):
            read = {
                key: _normal(file.file.place, batch, each, missing, forms)
                for key, each in wanted.items()
            }
            counts["rows"] += len(batch)
            kept = _complete(read, wanted, counts)
            for key, column in read.items():
                column = column if kept is None else column.filter(kept)
                if key in ids:
                    ids[key].add(column)
                else:
                    values = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
                    least = wanted[key].at_least
                    numbers[key].append(values if least is None else values >= least)
    found: dict[str, Column] = {}
    for key in wanted:
        if key in ids:
            found[key] = ids.pop(key).finished()
        else:
            chunks = numbers.pop(key)
            found[key] = _joined_chunks(chunks) if chunks else np.zeros(0)
    names = ["rows", *(each.name for each in wanted.values())]
    return found, {name: counts[name] for name in names if name in counts}


def check_columns(file: Opened, wanted: Sequence[str]) -> None:
    """Check that a file has some columns, each once.

    Raises:
        DataError: One is not there, or is there twice; the message names those that are.
    """
    names, place = file.names, file.file.place
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise DataError(
            f"{place}: there is no column {', '.join(map(repr, lacking))}; the columns are "
            f"{', '.join(map(repr, names))}{_other_delimiter(names)}"
        )
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{place}: the column {name!r} is there {names.count(name)} times")


def _other_delimiter(names: Sequence[str]) -> str:
    """Advice where the whole header was read as one name."""
    if len(names) != 1:
        return ""
    found = next((mark for mark in (";", "\t", "|", "::", ",") if mark in names[0]), None)
    return "" if found is None else f". Set data.table.delimiter to {found!r}"


def _normal(
    place: str,
    batch: pa.RecordBatch,
    wanted: Wanted,
    missing: Sequence[str],
    forms: dict[str, tuple[normal.Form, str]],
) -> pa.Array:
    where = f"{place}: column {wanted.columns[0]!r}"
    column = batch.column(wanted.columns[0])
    if wanted.role == "number":
        return normal.numbers(column, where, missing)
    if wanted.role == "time":
        moments, form = normal.times(column, where, missing)
        if form is not None:
            first, first_place = forms.setdefault(wanted.columns[0], (form, place))
            if first != form:
                also = f" (numbers or dates only in {first_place})" if first_place != place else ""
                raise DataError(f"{where} must hold {normal.TIMES}, got both in one column{also}")
        return moments
    if len(wanted.columns) == 1:
        return normal.ids(column, where, missing)
    return _joined(place, batch, wanted, missing)


def _joined(
    place: str, batch: pa.RecordBatch, wanted: Wanted, missing: Sequence[str]
) -> pa.DictionaryArray:
    """Make one id of several columns."""
    parts = []
    for name in wanted.columns:
        part = normal.ids(batch.column(name), f"{place}: column {name!r}", missing)
        holding = pc.match_substring(part.dictionary, JOINT)
        if pc.any(holding).as_py():
            value = part.dictionary[holding.index(True).as_py()].as_py()
            raise DataError(
                f"{place}: column {name!r}: an id of several columns joins them by {JOINT!r}, and "
                f"{value!r} holds one; make one column of them yourself"
            )
        parts.append(part.cast(pa.string()))
    return pc.dictionary_encode(pc.binary_join_element_wise(*parts, JOINT))


def _complete(
    read: Mapping[str, pa.Array], wanted: Mapping[str, Wanted], counts: dict[str, int]
) -> pa.BooleanArray | None:
    """Rows without a missing value, None: all; what is left out is added to the counts."""
    kept: NDArray[Any] | None = None
    for key, column in read.items():
        if wanted[key].optional or not column.null_count:
            continue
        gone = ~column.is_valid().to_numpy(zero_copy_only=False)
        kept = np.ones(len(gone), bool) if kept is None else kept
        new = int((gone & kept).sum())
        if new:
            name = wanted[key].name
            counts[name] = counts.get(name, 0) + new
        kept &= ~gone
    return None if kept is None else pa.array(kept)


def _integers(texts: pa.Array) -> pa.Array:
    """The texts as integers, if all of them are integers as they would be written."""
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts
    return numbers if numbers.cast(texts.type).equals(texts) else texts
