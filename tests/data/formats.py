"""One table of texts, written in every format that can be read."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from hbpr.data import UserItemData, load_table
from hbpr.errors import DataError
from hbpr.settings.models import FeatureTableSettings, TableSettings

Texts = dict[str, list[str]]
#: Physical types that a column is written as, where they can hold it.
KINDS = ("text", "category", "bytes", "int", "float", "decimal", "shown floats")


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
    if kind == "shown floats":
        return _floats(texts) or column
    try:
        typed = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
    if typed.cast(pa.string()) != column or any(abs(int(t or 0)) > 2**53 for t in texts):
        return column
    return typed.cast({"int": pa.int64(), "float": pa.float64()}.get(kind, pa.decimal128(20, 0)))


def _floats(texts: list[str]) -> pa.Array | None:
    """The column as floats, if each is one as it would be written; NaN is none: it is missing."""
    try:
        numbers = [float(text) if text else None for text in texts]
    except ValueError:
        return None
    pairs = zip(numbers, texts, strict=True)
    shown = all(n is None or (n == n and repr(n) == text) for n, text in pairs)
    return pa.array(numbers, pa.float64()) if shown else None


def sources(folder: Path, table: Texts, *, quote: bool = True) -> Iterator[tuple[str, Any]]:
    """Yield each format's name, and the settings or the frame that it is read from.

    Args:
        folder: Where files are written.
        table: Texts by the names of columns.
        quote: Whether text files are quoted; else no text may hold a delimiter or a line break.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in _text_files(folder, table, quote):
        yield name, {"path": str(folder / name), **options, **({} if quote else {"quote": None})}
    for kind in KINDS:
        arrow = pa.table({name: physical(column, kind) for name, column in table.items()})
        parquet.write_table(arrow, folder / f"{kind}.parquet", row_group_size=3)
        yield f"parquet {kind}", {"path": str(folder / f"{kind}.parquet")}
        yield f"arrow {kind}", arrow
        yield f"polars {kind}", pl.from_arrow(arrow)
    yield (
        "polars enum",
        pl.DataFrame(
            {
                name: pl.Series(column, dtype=pl.Enum(sorted(set(column))))
                for name, column in table.items()
            }
        ),
    )
    yield "pandas", pd.DataFrame(table)
    yield "pandas objects", pd.DataFrame(table, dtype=object)
    yield "other order of columns", pa.table(dict(reversed(table.items())))


def _text_files(folder: Path, table: Texts, quote: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    text = as_csv(table, quote=quote)
    texts = [each for column in table.values() for each in column]
    (folder / "t.csv").write_text(text, newline="", encoding="utf-8")
    yield "t.csv", {}
    (folder / "bom.csv").write_text(text, newline="", encoding="utf-8-sig")
    yield "bom.csv", {}
    if quote or not any("\t" in each for each in texts):
        (folder / "t.tsv").write_text(
            as_csv(table, "\t", quote=quote), newline="", encoding="utf-8"
        )
        yield "t.tsv", {"delimiter": "\t"}
    with gzip.open(folder / "t.csv.gz", "wb") as packed:
        packed.write(text.encode())
    yield "t.csv.gz", {}
    for encoding in ("utf-16", "latin-1", "cp1252"):
        try:
            (folder / encoding).write_bytes(text.encode(encoding))
        except UnicodeEncodeError:
            continue
        yield encoding, {"encoding": encoding}
    if not any(mark in each for each in texts for mark in '"\r\n:'):
        (folder / "t.txt").write_text(
            as_csv(table, "::", quote=False), newline="", encoding="utf-8"
        )
        yield "t.txt", {"delimiter": "::"}
    (folder / "bare.csv").write_text(text.partition("\n")[2], newline="", encoding="utf-8")
    yield "bare.csv", {"columns": list(table)}
    parts = folder / "parts.csv"
    parts.mkdir(exist_ok=True)
    half = len(next(iter(table.values()))) // 2
    for number, rows in enumerate((slice(None, half), slice(half, None))):
        (parts / f"part-{number}.csv").write_text(
            as_csv({name: column[rows] for name, column in table.items()}, quote=quote),
            newline="",
            encoding="utf-8",
        )
    yield "parts.csv", {}


def outcome(source: Any, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Any:
    """Return what a source ends in: data, or the class of an error.

    Args:
        source: Settings of a file, or a frame.
        columns: What the columns mean.
        features: Settings of a table of item features in the same file.
    """
    try:
        if not isinstance(source, dict):
            data = UserItemData.from_frame(source, name="table", **columns)
        elif features is None:
            data = load_table(TableSettings(**source, **columns))
        else:
            form = dict(source)
            if "columns" in form:
                form["header"] = form.pop("columns")
            described = FeatureTableSettings(**form, **features)
            data = load_table(
                TableSettings(**source, **columns, item_features=described), item_feature="both"
            )
        made = data.to_interactions()
    except DataError as error:
        return "error", type(error).__name__
    whole = data.assemble()
    return "data", (
        made.fingerprint,
        made.user_ids.tolist(),
        made.item_ids.tolist(),
        made.item_feature_names,
        dict(data.left_out),
        None if whole.positive_times is None else whole.positive_times.tolist(),
    )
