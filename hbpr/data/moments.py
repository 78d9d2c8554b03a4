"""Dates and moments as seconds since 1970, from timestamps and from the texts that people write.

They are cut to microseconds; without a zone they are UTC.
"""

import re
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: ISO 8601 as pandas, polars, .NET, Java and Go write it; Go's and Java's names of zones follow.
_MOMENT: Final = (
    r"^(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<minute>\d{2}:\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"(?: ?(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?(?::?\d{2})?))?"
    r"(?: [A-Z]{1,5}| [+-]\d{2,4}|\[[A-Za-z0-9_/+-]+\])?(?: m=[+-][0-9.]+)?)?$"
)


def of_timestamps(column: pa.Array) -> pa.DoubleArray:
    """Return the seconds since 1970 of dates or timestamps, cut to microseconds."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s" if pa.types.is_date32(column.type) else "ms"))
    unit = column.type.unit
    raw = column.cast(pa.int64())
    values = raw.fill_null(0).to_numpy(zero_copy_only=False)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds = _seconds(values // per_second, values % per_second * 10**6 // per_second)
    return pa.array(seconds, mask=raw.is_null().to_numpy(zero_copy_only=False))


def _seconds(whole: NDArray[np.int64], micro: NDArray[np.int64]) -> NDArray[np.float64]:
    return (whole * 10**6 + micro).astype(np.float64) / 1e6


def of_texts(column: pa.Array) -> pa.DoubleArray | None:
    """Return the seconds since 1970 of ISO texts; None: one of them is none."""
    encoded = pc.dictionary_encode(column)
    texts = encoded.dictionary
    parts = pc.extract_regex(texts, _MOMENT)
    if parts.null_count:
        return None
    day, minute, second, fraction, zone = (
        pc.struct_field(parts, name) for name in ("day", "minute", "second", "fraction", "zone")
    )
    clock = pc.binary_join_element_wise(
        _or(minute, "00:00"), _or(second, "00"), ":", null_handling="skip"
    )
    try:
        moment = pc.binary_join_element_wise(day, clock, "T").cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        return None
    micro = pc.utf8_slice_codeunits(pc.utf8_rpad(_or(fraction, "0"), 6, "0"), 0, 6)
    digits = pc.replace_substring_regex(_or(zone, ""), r"[^0-9]", "")
    digits = pc.utf8_rpad(digits, 6, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
    offset = digits // 10000 * 3600 + digits // 100 % 100 * 60 + digits % 100
    west = pc.starts_with(_or(zone, ""), "-").to_numpy(zero_copy_only=False)
    whole = moment.cast(pa.int64()).to_numpy(zero_copy_only=False)
    seconds = _seconds(
        whole - np.where(west, -offset, offset),
        micro.cast(pa.int64()).to_numpy(zero_copy_only=False),
    )
    return pc.take(pa.array(seconds), encoded.indices)


def _or(texts: pa.Array, otherwise: str) -> pa.Array:
    """Return texts with another one where a group of the expression met nothing."""
    return pc.if_else(pc.equal(texts, ""), otherwise, texts)


def is_moment(text: str) -> bool:
    """Whether a text is a date or moment that there is."""
    if not re.match(_MOMENT, text):
        return False
    try:
        datetime.fromisoformat(f"{text[:10]}T{text[11:19]}" if len(text) > 18 else text[:16])
    except ValueError:
        return False
    return True
