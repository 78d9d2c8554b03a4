"""One table of texts, written in every format that can be read."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from hbpr.data import UserItemData, load_table
from hbpr.errors import DataError
from hbpr.settings.models import TableSettings

Texts = dict[str, list[str]]


def as_csv(table: Texts, delimiter: str = ",", *, quote: bool = True) -> str:
    def shown(text: str) -> str:
        if quote and any(mark in text for mark in (delimiter, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    rows = [list(table), *zip(*table.values(), strict=True)]
    return "\n".join(delimiter.join(map(shown, row)) for row in rows) + "\n"


def physical(texts: list[str], kind: str) -> pa.Array:
    """Return a column of texts as another physical type; as texts where that cannot hold it."""
    column = pa.array([text or None for text in texts], pa.string())
    if kind == "text":
        return pa.array(texts, pa.string())
    if kind == "category":
        return column.dictionary_encode()
    if kind == "bytes":
        return column.cast(pa.binary())
    try:
        typed = column.cast(pa.int64() if kind in ("int", "float", "decimal") else pa.float64())
    except pa.ArrowInvalid:
        return column
    if kind in ("int", "float", "decimal"):
        if typed.cast(pa.string()) != column or any(abs(int(t or 0)) > 2**53 for t in texts):
            return column
        return typed.cast(
            {"int": pa.int64(), "float": pa.float64()}.get(kind, pa.decimal128(20, 0))
        )
    return column


def sources(folder: Path, table: Texts) -> Iterator[tuple[str, Any]]:
    """Yield each format's name, and the settings or the frame that it is read from."""
    folder.mkdir(parents=True, exist_ok=True)
    text = as_csv(table)
    (folder / "t.csv").write_text(text, newline="")
    yield "csv", {"path": str(folder / "t.csv")}
    (folder / "t.tsv").write_text(as_csv(table, "\t"), newline="")
    yield "tsv", {"path": str(folder / "t.tsv"), "delimiter": "\t"}
    with gzip.open(folder / "t.csv.gz", "wb") as packed:
        packed.write(text.encode())
    yield "gz", {"path": str(folder / "t.csv.gz")}
    (folder / "t.utf16").write_bytes(text.encode("utf-16"))
    yield "utf-16", {"path": str(folder / "t.utf16"), "encoding": "utf-16"}
    if not any(mark in each for column in table.values() for each in column for mark in '"\r\n'):
        (folder / "t.txt").write_text(as_csv(table, "::", quote=False), newline="")
        if not any(":" in each for column in table.values() for each in column):
            yield "::", {"path": str(folder / "t.txt"), "delimiter": "::"}
    for kind in ("text", "category", "bytes", "int", "float", "decimal"):
        arrow = pa.table({name: physical(column, kind) for name, column in table.items()})
        parquet.write_table(arrow, folder / f"{kind}.parquet", row_group_size=3)
        yield f"parquet {kind}", {"path": str(folder / f"{kind}.parquet")}
        yield f"arrow {kind}", arrow
    parts = folder / "parts.csv"
    parts.mkdir(exist_ok=True)
    half = len(table["user"]) // 2
    for number, rows in enumerate((slice(None, half), slice(half, None))):
        (parts / f"part-{number}.csv").write_text(
            as_csv({name: column[rows] for name, column in table.items()}), newline=""
        )
    yield "folder", {"path": str(parts)}
    yield "pandas", pd.DataFrame(table)
    yield "other order of columns", pa.table(dict(reversed(table.items())))


def outcome(source: Any, columns: dict[str, Any]) -> tuple[str, Any]:
    """Return what a source ends in: data, or an error without its place."""
    try:
        if isinstance(source, dict):
            data = load_table(TableSettings(**source, **columns))
        else:
            data = UserItemData.from_frame(source, name="table", **columns)
        made = data.to_interactions()
    except DataError as error:
        return "error", type(error).__name__
    return "data", (
        made.fingerprint,
        made.user_ids.tolist(),
        made.item_ids.tolist(),
        dict(data.left_out),
        None if data.assemble().positive_times is None else data.assemble().positive_times.tolist(),
    )
