"""Data frames and columns of pandas, polars and Arrow, as Arrow holds them."""

from typing import Any

import pandas as pd
import pyarrow as pa

from hbpr.data.normal import without_views
from hbpr.data.table_files import ArrowPart, Opened
from hbpr.errors import DataError


def open_frame(frame: Any, place: str) -> list[Opened]:
    """Return a data frame as a table that can be read.

    Args:
        frame: Of pandas, polars or Arrow, or what exports Arrow's stream; or a mapping of names
            to columns.
        place: Its name, for messages.

    Raises:
        DataError: It is none, or a column cannot be held by Arrow.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if not isinstance(frame, pa.Table):
        if isinstance(frame, pd.DataFrame):
            frame = dict(frame.items())
        if isinstance(frame, dict):
            frame = pa.table(
                {str(name): _column(each, place, name) for name, each in frame.items()}
            )
        elif hasattr(frame, "__arrow_c_stream__"):
            frame = pa.table(frame)
        else:
            raise DataError(
                f"{place}: expected a data frame of pandas, polars or Arrow, got "
                f"{type(frame).__name__}"
            )
    return [Opened(ArrowPart(place, frame), {})]


def _column(values: Any, place: str, name: Any) -> pa.Array:
    try:
        return as_arrow(values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"{place}: column {name!r}: values must be of one type, {error}") from error


def as_arrow(values: Any) -> pa.Array:
    """Return a column as one Arrow array; NaN and NaT are missing.

    Raises:
        pyarrow.ArrowException, TypeError: The values are of several types.
    """
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    if not isinstance(values, pd.Series | pd.Index) and hasattr(values, "__arrow_c_stream__"):
        return without_views(pa.chunked_array(values).combine_chunks())
    if not hasattr(values, "__array__"):
        values = list(values)
    found = pa.array(values, from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
