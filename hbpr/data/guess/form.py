"""How a table is written, found out by reading its first rows with the reader that studies use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hbpr.data import normal
from hbpr.data.table_files import Opened, open_table
from hbpr.data.text_files import TextFile, TextForm
from hbpr.errors import DataError, DatasetMissingError

#: Rows that are looked at.
MOST_ROWS: Final = 500_000
#: What stands between columns, the first that a header holds.
_DELIMITERS: Final = ("\t", ";", "::", "|")
_ENCODINGS: Final = ("utf-8", "utf-16", "cp1252")


@dataclass(frozen=True)
class ColumnSample:
    """The first rows of one column.

    Attributes:
        name: Of the column.
        codes: (n_rows,) place of each row's text in `texts`; -1: missing.
        texts: The distinct texts.
        numbers: (n_rows,) float64 where all that is there are numbers; else None.
        times: (n_rows,) float64 where all that is there are dates, or numbers; else None.
        dates: Whether `times` are written as dates.
    """

    name: str
    codes: NDArray[np.int32]
    texts: list[str]
    numbers: NDArray[np.float64] | None
    times: NDArray[np.float64] | None
    dates: bool

    @property
    def n_distinct(self) -> int:
        """Distinct values."""
        return len(self.texts)

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        known = None if self.numbers is None else self.numbers[~np.isnan(self.numbers)]
        return known is not None and bool((known == np.floor(known)).all())


@dataclass(frozen=True)
class Sample:
    """The first rows of a table.

    Attributes:
        paths: Its files, as they were named.
        form: How it is written, for text files.
        is_text: Whether it is a text file.
        named: Whether the file names its columns.
        n_rows: Rows that were looked at.
        complete: Whether that is all of them.
        columns: The columns by name.
        notes: What was found out of the form, in words.
    """

    paths: tuple[str, ...]
    form: TextForm
    is_text: bool
    named: bool
    n_rows: int
    complete: bool
    columns: dict[str, ColumnSample]
    notes: list[str] = field(default_factory=list)


def look(paths: Sequence[str]) -> Sample:
    """Read the first rows of a table and find out how it is written.

    Args:
        paths: Files, folders or patterns, as in ``data.table.path``.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: It cannot be read in any way that was tried.
    """
    form, files, rows, complete = _first_readable(paths)
    is_text = isinstance(files[0].file, TextFile)
    names = files[0].names
    named = not is_text or not any(_is_value(name) for name in names)
    if not named:
        form = replace(form, columns=tuple(f"column{k}" for k in range(1, len(names) + 1)))
        files = open_table(paths, form)
        names = files[0].names
        rows, complete = _rows(files, names)
    columns = {name: _sampled(name, rows.column(name).combine_chunks()) for name in names}
    return Sample(
        tuple(paths), form, is_text, named, rows.num_rows, complete, columns, _notes(form, is_text)
    )


def _first_readable(paths: Sequence[str]) -> tuple[TextForm, list[Opened], pa.Table, bool]:
    """Try the ways of writing a table, the most usual first."""
    first: DataError | None = None
    for form in _forms():
        try:
            files = open_table(paths, form)
            if len(files[0].names) == 1 and isinstance(files[0].file, TextFile):
                mark = next((m for m in _DELIMITERS if m in files[0].names[0]), form.delimiter)
                form = replace(form, delimiter=mark)
                files = open_table(paths, form)
            return form, files, *_rows(files, files[0].names)
        except DatasetMissingError:
            raise
        except DataError as error:
            first = first or error
    assert first is not None
    raise first


def _forms() -> Iterator[TextForm]:
    for encoding in _ENCODINGS:
        for quote in ('"', None):
            yield TextForm(encoding=encoding, quote=quote)


def _rows(files: Sequence[Opened], names: list[str]) -> tuple[pa.Table, bool]:
    """Return the first rows, and whether these are all."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{files[0].file.place}: the column {twice!r} is there twice; rename one")
    batches: list[pa.RecordBatch] = []
    n_rows = 0
    for file in files:
        for batch in file.batches(names, []):
            batches.append(batch.slice(0, MOST_ROWS - n_rows))
            n_rows += len(batches[-1])
            if n_rows >= MOST_ROWS:
                return _table(batches), False
    if not n_rows:
        raise DataError(f"{files[0].file.place}: there are no rows below the header")
    return _table(batches), True


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    """Return batches of which one may have found no text where another has."""
    return pa.concat_tables(
        [pa.Table.from_batches([batch]) for batch in batches], promote_options="permissive"
    )


def _sampled(name: str, column: pa.Array) -> ColumnSample:
    place = f"column {name!r}"
    try:
        ids = normal.ids(column, place, sorted(normal.NO_NUMBER))
    except DataError:  # lists, structs: no role
        return ColumnSample(name, np.full(len(column), -1, np.int32), [], None, None, False)
    codes = ids.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    codes, kept = pd.factorize(codes)
    texts = [ids.dictionary[int(k)].as_py() for k in kept if k >= 0]
    order = np.full(len(kept) + 1, -1, np.int32)
    order[:-1][kept >= 0] = np.arange(len(texts))
    return ColumnSample(name, order[codes], texts, *_as_numbers(column, place))


def _as_numbers(
    column: pa.Array, place: str
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, bool]:
    found: list[NDArray[np.float64] | None] = []
    dates = False
    try:
        numbers = normal.numbers(column, place)
        found.append(numbers.fill_null(np.nan).to_numpy(zero_copy_only=False))
    except DataError:
        found.append(None)
    try:
        times, how = normal.times(column, place)
        found.append(
            None if how is None else times.fill_null(np.nan).to_numpy(zero_copy_only=False)
        )
        dates = how == "dates"
    except DataError:
        found.append(None)
    return found[0], found[1], dates


def _is_value(name: str) -> bool:
    """Whether the name of a column looks like a value: the file has no header.

    Example:
        >>> [_is_value(name) for name in ("196", "881250949", "4.5", "user", "2024-01-31", "q1")]
        [True, True, True, False, True, False]
    """
    text = pa.array([name.strip()])
    try:
        return normal.times(text, "")[1] is not None
    except DataError:
        return False


def _notes(form: TextForm, is_text: bool) -> list[str]:
    usual = TextForm()
    notes = []
    if is_text and form.delimiter != usual.delimiter:
        notes.append(f"columns are parted by {form.delimiter!r}")
    if is_text and form.encoding != usual.encoding:
        notes.append(f"the text is no UTF-8; {form.encoding} reads it")
    if is_text and form.quote is None:
        notes.append("quotes are characters like any other here")
    return notes
