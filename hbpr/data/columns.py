"""Columns of CSV and Parquet files, read in batches and without a Python loop over rows.

Ids are read as Arrow dictionaries: a code for every row and each distinct value once, so that ten
million rows of text cost 40 MB a column.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from hbpr.errors import DataError, DatasetMissingError

#: What a column is read as: ids by their distinct values, numbers, or times (numbers or dates).
Role = Literal["id", "number", "time"]
#: A column as it is read: ids as categoricals, numbers and times as arrays.
Column = pd.Categorical | NDArray[Any]

#: Bytes of a CSV file, or rows of a Parquet file, that are handled at a time.
_CSV_BLOCK: Final = 1 << 24
_PARQUET_ROWS: Final = 1 << 20

_NEEDED: Final[dict[Role, str]] = {
    "id": "ids",
    "number": "numbers",
    "time": "numbers, such as Unix seconds, or ISO dates or times, such as 2026-01-31 or "
    "2026-01-31T14:05:00Z",
}


def read_columns(
    path: Path,
    roles: dict[str, Role],
    *,
    delimiter: str = ",",
    may_be_missing: Collection[str] = (),
) -> tuple[dict[str, Column], dict[str, int]]:
    """Read some columns of a table, leaving out rows in which one of them is missing.

    Args:
        path: ``.parquet`` or ``.pq``: Parquet; anything else: CSV with a header, also ``.gz``.
        roles: What to read, by column.
        delimiter: Between the columns of a CSV file.
        may_be_missing: Columns of ids that a complete row need not have.

    Returns:
        The columns, with one row for each row that is complete: ids as categoricals (of integers
        where all are integers, else of text; code -1 where one may be missing and is), numbers as
        float64, times as float64 or datetimes. And counts: ``rows`` in the file, and of each
        column that has any, the rows left out because it was the first to be missing.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: A column is not there, or is not what its role needs.
    """
    if not path.is_file():
        raise DatasetMissingError(f"{path}: no such file (relative to {Path.cwd()})")
    counts = {"rows": 0}
    batches = []
    try:
        for batch in _batches(path, roles, delimiter):
            counts["rows"] += len(batch)
            batches.append(_complete(batch, counts, may_be_missing))
        table = pa.Table.from_batches(batches).unify_dictionaries()
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {_unread(path, roles, delimiter, str(error))}") from error
    del batches
    found: dict[str, Column] = {}
    for name, role in roles.items():
        column = table.column(name)
        found[name] = _ids(column) if role == "id" else _numbers(path, name, column, role)
        table = table.drop_columns(name)
    return found, counts


def column_names(path: Path, *, delimiter: str = ",") -> list[str]:
    """Names of the columns of a file.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: It cannot be read.
    """
    if not path.is_file():
        raise DatasetMissingError(f"{path}: no such file (relative to {Path.cwd()})")
    try:
        if _is_parquet(path):
            return list(parquet.read_schema(path).names)
        with csv.open_csv(
            path, parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        ) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: the table cannot be read: {error}") from error


def check_columns(path: Path, wanted: Sequence[str], *, delimiter: str = ",") -> None:
    """Check that a file has some columns.

    Raises:
        DataError: One is not there; the message names those that are.
    """
    names = column_names(path, delimiter=delimiter)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"{path}: there is no column {', '.join(map(repr, missing))}; the columns are "
            f"{', '.join(map(repr, names))}{_other_delimiter(names)}"
        )


def _other_delimiter(names: Sequence[str]) -> str:
    """Advice where the whole header was read as one name."""
    if len(names) != 1:
        return ""
    found = next((mark for mark in ";\t|," if mark in names[0]), None)
    return "" if found is None else f". Set data.table.delimiter to {found!r}"


def _unread(path: Path, roles: dict[str, Role], delimiter: str, problem: str) -> str:
    """What stopped Arrow, which counts columns of a CSV file and does not name them."""
    found = re.search(r"In CSV column #(\d+).*invalid value '(.*)'", problem, re.DOTALL)
    if found is None:
        return f"the table cannot be read: {problem}"
    name = column_names(path, delimiter=delimiter)[int(found[1])]
    return f"column {name!r} must hold {_NEEDED[roles[name]]}, got {found[2]!r}"


def _batches(path: Path, roles: dict[str, Role], delimiter: str) -> Iterator[pa.RecordBatch]:
    check_columns(path, list(roles), delimiter=delimiter)
    ids = [name for name, role in roles.items() if role == "id"]
    text = pa.dictionary(pa.int32(), pa.string())
    if _is_parquet(path):
        file = parquet.ParquetFile(path, read_dictionary=ids)
        for batch in file.iter_batches(_PARQUET_ROWS, columns=list(roles)):
            columns = [
                pc.dictionary_encode(batch.column(name))
                if name in ids and not pa.types.is_dictionary(batch.column(name).type)
                else batch.column(name)
                for name in roles
            ]
            yield pa.RecordBatch.from_arrays(columns, names=list(roles))
        return
    types = {name: text if role == "id" else pa.float64() for name, role in roles.items()}
    for name, role in roles.items():
        if role == "time":
            del types[name]  # a number or a date, as the first rows have it
    with csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_CSV_BLOCK),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
        convert_options=csv.ConvertOptions(
            include_columns=list(roles), column_types=types, strings_can_be_null=True
        ),
    ) as reader:
        yield from reader


def _complete(
    batch: pa.RecordBatch, counts: dict[str, int], may_be_missing: Collection[str]
) -> pa.RecordBatch:
    """Rows without a missing value; what is left out is added to the counts."""
    if not any(column.null_count for column in batch.columns):
        return batch
    kept = np.ones(len(batch), bool)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        missing = ~column.is_valid().to_numpy(zero_copy_only=False) & kept
        if missing.any() and name not in may_be_missing:
            counts[name] = counts.get(name, 0) + int(missing.sum())
            kept &= ~missing
    return batch.filter(pa.array(kept))


def _ids(column: pa.ChunkedArray) -> pd.Categorical:
    if column.num_chunks == 0:
        return pd.Categorical([])
    codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in column.chunks])
    values = column.chunk(0).dictionary
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = _integers(values)
    elif pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False)
        if (numbers == np.floor(numbers)).all():
            values = values.cast(pa.int64())
    distinct = values.to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=pd.Index(distinct), validate=False)


def _integers(texts: pa.Array) -> pa.Array:
    """The texts as integers, if all of them are integers as they would be written."""
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts
    return numbers if numbers.cast(texts.type).equals(texts) else texts


def _numbers(path: Path, name: str, column: pa.ChunkedArray, role: Role) -> NDArray[Any]:
    kind = column.type
    if role == "time" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy())
    raise DataError(
        f"{path}: column {name!r} must hold {_NEEDED[role]}, got {_unfit(column, role)}"
    )


def _unfit(column: pa.ChunkedArray, role: Role) -> str:
    """Return the first value that is no number or time, else what is wrong with all together."""
    found = set()
    for text in (str(value) for chunk in column.chunks for value in chunk):
        form = _form(text)
        if form is None or (role == "number" and form != "numbers"):
            return repr(text)
        found.add(form)
    if len(found) == 2:
        return "both in one column"
    return f"a column of type {column.type}"


def _form(text: str) -> Literal["numbers", "dates"] | None:
    forms: tuple[tuple[Callable[[str], object], Literal["numbers", "dates"]], ...] = (
        (float, "numbers"),
        (datetime.fromisoformat, "dates"),
    )
    for read, form in forms:
        try:
            read(text)
        except ValueError:
            continue
        return form
    return None


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")
