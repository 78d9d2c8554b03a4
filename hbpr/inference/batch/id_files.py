"""Ids from a file: one a line, or a column of a table."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any, Final

from hbpr.errors import DataError, DatasetMissingError, HbprError
from hbpr.places import Place


def read_ids(named: str, column: str) -> list[Any]:
    """Read ids.

    Args:
        named: A path or URI: ``.csv``, ``.jsonl`` or ``.parquet`` with a column of that name (or
            with one column alone), or any other text with an id a line.
        column: Name of the column.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: It has no such column, or cannot be read.
    """
    place = Place.of(named)
    if not place.exists():
        raise DatasetMissingError(f"{named}: there is no such file of {column} ids")
    try:
        return _READERS.get(place.suffix, _lines)(place.read(), column)
    except (HbprError, ValueError, OSError, KeyError, TypeError) as error:
        raise DataError(f"{named}: {column} ids cannot be read: {error}") from error


def _lines(content: bytes, column: str) -> list[Any]:
    return [line for line in content.decode("utf-8-sig").splitlines() if line]


def _csv(content: bytes, column: str) -> list[Any]:
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    head = next(reader, [])
    at = _column(head, column)
    return [row[at] for row in reader if row]


def _json_lines(content: bytes, column: str) -> list[Any]:
    rows = [json.loads(line) for line in content.splitlines() if line.strip()]
    return [row[column] if isinstance(row, dict) else row for row in rows]


def _parquet(content: bytes, column: str) -> list[Any]:
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    names = file.schema_arrow.names
    name = names[_column(names, column)]
    return list(file.read(columns=[name]).column(name).to_pylist())


def _column(names: list[str], wanted: str) -> int:
    if wanted in names:
        return names.index(wanted)
    if len(names) == 1:
        return 0
    raise DataError(f"a column {wanted!r} is needed, got {', '.join(map(repr, names))}")


_READERS: Final[dict[str, Callable[[bytes, str], list[Any]]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
