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

    def finished(self) -> tuple[pd.Categorical, bool]:
        """All codes: of integers where all ids are integers as they are written, else of text.

        A text file shows whole floats as 10.0: where every id is a float as it would be written,
        the whole ones are integers, as they are in Parquet. Also return whether that was so.
        """
        if not self.groups:
            return pd.Categorical([]), False
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
        plain = plain_floats(texts)
        if plain is not None:
            merged = plain.dictionary_encode()  # 0.0 and -0.0 are one
            numbers = np.append(merged.indices.to_numpy().astype(np.int32), np.int32(-1))
            codes, texts = numbers[codes], merged.dictionary
        distinct = _integers(texts).to_numpy(zero_copy_only=False)
        found = pd.Categorical.from_codes(codes, categories=pd.Index(distinct), validate=False)
        return found, plain is not None


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
) -> tuple[dict[str, Column], dict[str, int], set[str]]:
    """Read some columns of a table, leaving out rows in which one of them is missing.

    Args:
        files: The files of the table.
        wanted: What to read, by a name of the caller's.
        missing: Texts that stand for a missing value.

    Returns:
        The columns by the caller's names, with one row for each row that is complete: ids as
        categoricals (of integers where all are integers, else of text; code -1 where one may be
        missing and is), numbers and times as float64 (NaN). And counts: ``rows`` in the files, and
        of each column that has any, the rows left out because it was the first to be missing. And
        the names of the caller's whose ids are written as floats, such as 10.0.

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
    floats = set()
    for key in wanted:
        if key in ids:
            found[key], written_as_floats = ids.pop(key).finished()
            if written_as_floats:
                floats.add(key)
        else:
            chunks = numbers.pop(key)
            found[key] = _joined_chunks(chunks) if chunks else np.zeros(0)
    names = ["rows", *(each.name for each in wanted.values())]
    return found, {name: counts[name] for name in names if name in counts}, floats


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


def plain_floats(texts: pa.Array) -> pa.Array | None:
    """The texts with whole floats as integers; None: not all are floats as they are written."""
    if not len(texts) or not _is_float(texts[0].as_py()):
        return None
    plain = []
    for text in texts.to_pylist():
        plain.append(normal.plain_float(text))
        if plain[-1] == text and not _is_float(text):
            return None
    return pa.array(plain, pa.string())


def _is_float(text: str) -> bool:
    try:
        return np.isfinite(float(text)) and repr(float(text)) == text
    except ValueError:
        return False


def _integers(texts: pa.Array) -> pa.Array:
    """The texts as integers, if all of them are integers as they would be written."""
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts
    return numbers if numbers.cast(texts.type).equals(texts) else texts
