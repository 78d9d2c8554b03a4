"""Tables of lists as CSV, JSON lines or Parquet: a part's bytes, and the whole from its parts."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hbpr.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        encode: From a table to the bytes of a part.
        join: From the parts' bytes to an open file.
    """

    encode: Callable[["pa.Table"], bytes]
    join: Callable[[Iterator[bytes], Any], None]


def format_of(suffix: str, place: str) -> Format:
    """Return the format that a file's name asks for.

    Raises:
        ConfigError: There is none.
    """
    if suffix not in FORMATS:
        raise ConfigError(
            f"{place}: the name must end with one of {', '.join(FORMATS)}, got {suffix or 'no end'}"
        )
    return FORMATS[suffix]


def _encode_parquet(table: "pa.Table") -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _join_parquet(parts: Iterator[bytes], file: Any) -> None:
    from pyarrow import parquet

    first = parquet.read_table(io.BytesIO(next(parts)))
    with parquet.ParquetWriter(file, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(parquet.read_table(io.BytesIO(part)))


def _encode_csv(table: "pa.Table") -> bytes:
    from pyarrow import csv

    buffer = io.BytesIO()
    csv.write_csv(table, buffer)
    return buffer.getvalue()


def _join_csv(parts: Iterator[bytes], file: Any) -> None:
    file.write(next(parts))
    for part in parts:
        file.write(part[part.index(b"\n") + 1 :])  # names of columns hold no line end


def _encode_lines(table: "pa.Table") -> bytes:
    names = table.column_names
    columns = [column.to_pylist() for column in table.columns]
    rows = zip(*columns, strict=True)
    return "".join(
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
    ).encode()


def _join_lines(parts: Iterator[bytes], file: Any) -> None:
    for part in parts:
        file.write(part)


FORMATS: Final = {
    ".parquet": Format(_encode_parquet, _join_parquet),
    ".csv": Format(_encode_csv, _join_csv),
    ".jsonl": Format(_encode_lines, _join_lines),
}
