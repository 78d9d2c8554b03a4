"""The normal form of a column: ids as texts, numbers and times as float64, missing as null.

Every decision about a column is taken on this form, so that a value means the same whether it came
from a CSV file, from Parquet of any physical type, or from a data frame.

- An id is the text that a file shows. A whole float or decimal is that integer (10.0 is ``10``,
  since a column of integers with a gap is stored as floats), bytes are UTF-8 text.
- A number of 32 or 16 bits is the decimal number that it is written as: 4.1, not 4.0999999046.
- A time is a number, or seconds since 1970 of a date or moment, cut to microseconds; without a
  zone it is UTC.
"""

import math
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbpr.data.moments import is_moment, of_texts, of_timestamps
from hbpr.errors import DataError

#: How a column writes its times.
Form = Literal["numbers", "dates"]

#: Texts that are no number in a column of numbers or times, beside those that the settings name.
NO_NUMBER: Final = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "nat", "\\n")
)
NUMBERS: Final = "numbers"
TIMES: Final = (
    "numbers, such as Unix seconds, or ISO dates or times, such as 2026-01-31 or "
    "2026-01-31T14:05:00Z"
)

_WHOLE: Final = 2**53


def ids(column: pa.Array, place: str, missing: Collection[str] = ("",)) -> pa.DictionaryArray:
    """Return a column as texts, by their distinct values; null where one is missing.

    Args:
        column: (n,) of any type that has one value a row.
        place: What the column is, for messages.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: The type has no text, or bytes are no UTF-8.
    """
    column = _encoded(_storage(column), place)
    shown = pc.dictionary_encode(_without(_texts(column.dictionary, place), missing))
    codes = pc.take(shown.indices, column.indices)
    return pa.DictionaryArray.from_arrays(codes, shown.dictionary)


def numbers(column: pa.Array, place: str, missing: Collection[str] = ("",)) -> pa.DoubleArray:
    """Return a column as float64; null where a number is missing or NaN.

    Raises:
        DataError: A value is no number, or is infinite.
    """
    found = _numbers(column, missing)
    if found is None:
        raise DataError(
            f"{place} must hold {NUMBERS}, got {_first_unfit(column, missing, NUMBERS)}"
        )
    infinite = pc.is_inf(found)
    if pc.any(infinite).as_py():
        row = infinite.index(True).as_py()
        raise DataError(f"{place} must hold finite numbers, got {column[row].as_py()!r}")
    return found


def times(
    column: pa.Array, place: str, missing: Collection[str] = ("",)
) -> tuple[pa.DoubleArray, Form | None]:
    """Return a column of times as float64, null where one is missing, and how it writes them.

    Raises:
        DataError: A value is neither a number nor a date or time, or is infinite; or both are
            there.
    """
    column = _as_text(column)
    kind = _value_type(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        found = of_timestamps(_decoded(column))
        return found, "dates" if found.null_count < len(found) else None
    if _is_text(kind):
        texts = pc.utf8_trim_whitespace(_decoded(column).cast(pa.string()))
        column = _without(texts, missing, NO_NUMBER)
        if column.null_count == len(column):
            return pa.nulls(len(column), pa.float64()), None
        if _parsed(column) is None:
            found = of_texts(column)
            if found is None:
                raise DataError(f"{place} must hold {TIMES}, got {_first_unfit(column, (), TIMES)}")
            return found, "dates"
    found = numbers(column, place, missing) if _is_number(kind) or _is_text(kind) else None
    if found is None:
        if pa.types.is_null(kind):
            return pa.nulls(len(column), pa.float64()), None
        raise DataError(f"{place} must hold {TIMES}, got a column of type {kind}")
    return found, "numbers" if found.null_count < len(found) else None


def without_views(column: pa.Array) -> pa.Array:
    """Return texts or bytes that are views, as polars holds them, in Arrow's older form.

    Arrow's functions know the older one alone.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        distinct = without_views(column.dictionary)
        if distinct is column.dictionary:
            return column
        return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), distinct)
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_binary_view(kind) else column


def _storage(column: pa.Array) -> pa.Array:
    """Return what an extension type, such as UUID, stores; half floats as their texts."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        stored = column.storage
        if str(kind).startswith("extension<arrow.uuid"):
            return _each(stored, lambda value: str(uuid.UUID(bytes=value)))
        return stored
    if pa.types.is_float16(kind):
        return _each(column, float_text, column.to_numpy(zero_copy_only=False))
    return column


def _encoded(column: pa.Array, place: str) -> pa.DictionaryArray:
    if pa.types.is_dictionary(column.type):
        return column
    if pa.types.is_nested(column.type):
        raise DataError(
            f"{place} is of type {column.type}, which has no single value a row; name a column of "
            "texts or numbers"
        )
    return pc.dictionary_encode(column)


def _value_type(column: pa.Array) -> pa.DataType:
    kind = column.type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _as_text(column: pa.Array) -> pa.Array:
    """Return bytes that are UTF-8 as text, anything else as it is."""
    if not _is_bytes(_value_type(column)):
        return column
    try:
        return _decoded(column).cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return column


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _without(texts: pa.Array, *missing: Collection[str]) -> pa.Array:
    """Return texts with null where one is missing; the second group is lower-case."""
    exact, *folded = missing
    gone = pc.is_in(texts, value_set=pa.array(list(exact), pa.string()))
    for group in folded:
        lower = pc.utf8_lower(texts)
        gone = pc.or_(gone, pc.is_in(lower, value_set=pa.array(list(group), pa.string())))
    return pc.if_else(gone, pa.scalar(None, pa.string()), texts) if pc.any(gone).as_py() else texts


def _texts(values: pa.Array, place: str) -> pa.StringArray:
    """Return distinct values as the texts that a file shows."""
    kind = values.type
    if _is_bytes(kind):
        try:
            return values.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{place} holds bytes that are no UTF-8 text, such as {_no_text(values)!r}; store "
                "ids as texts or integers"
            ) from error
    if pa.types.is_floating(kind):
        return _each(values, float_text, values.to_numpy(zero_copy_only=False))
    if pa.types.is_decimal(kind):
        shown = _each(values, lambda value: format(value, "f"))
        return pc.replace_substring_regex(shown, r"^(-?\d+)\.0+$", r"\1")
    if pa.types.is_timestamp(kind):
        shown = pc.cast(values, pa.string())
        return pc.replace_substring_regex(shown, r"(\.[0-9]*?)0+(Z?)$", r"\1\2")
    try:
        return values.cast(pa.string())
    except (pa.ArrowException, NotImplementedError) as error:
        raise DataError(f"{place} is of type {kind}, which cannot be read as text") from error


def _each(
    values: pa.Array, text: Callable[[Any], str | None], read: Iterable[Any] | None = None
) -> pa.StringArray:
    read = values.to_pylist() if read is None else read
    valid = values.is_valid().to_pylist()
    return pa.array(
        [text(v) if ok else None for v, ok in zip(read, valid, strict=True)], pa.string()
    )


def _no_text(values: pa.Array) -> bytes:
    for value in values.to_pylist():
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return bytes(value)
    return b""


def plain_float(text: str) -> str:
    """Return a text as an id: a float as it would be written as `float_text`, others as they are.

    Example:
        >>> [plain_float(text) for text in ("10.0", "2.50", "2.5", "10", "v1.0")]
        ['10', '2.50', '2.5', '10', 'v1.0']
    """
    try:
        number = float(text)
    except ValueError:
        return text
    is_float = np.isfinite(number) and repr(number) == text
    return str(float_text(number)) if is_float else text


def float_text(value: Any) -> str | None:
    """Return a float as an id: a whole one as that integer; None: NaN."""
    number = float(value)
    if math.isnan(number):
        return None
    if number.is_integer() and abs(number) < _WHOLE:
        return str(int(number))
    return str(number if isinstance(value, np.float64) else value)


def _numbers(column: pa.Array, missing: Collection[str]) -> pa.DoubleArray | None:
    """Return float64 with null for missing ones; None: not all are numbers."""
    column = _as_text(column)
    if pa.types.is_dictionary(column.type):
        found = _numbers(column.dictionary, missing)
        return None if found is None else pc.take(found, column.indices)
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.float64())
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif (pa.types.is_floating(kind) and kind != pa.float64()) or pa.types.is_decimal(kind):
        encoded = ids(column, "", missing)
        return pc.take(_parsed(encoded.dictionary), encoded.indices)
    if _is_text(column.type):
        found = _of_number_texts(pc.utf8_trim_whitespace(column.cast(pa.string())), missing)
    elif _is_number(kind):
        found = column.cast(pa.float64(), safe=False)
        if set(missing) != {""}:
            gone = pc.is_in(ids(column, "", missing).cast(pa.string()), pa.nulls(1, pa.string()))
            found = pc.if_else(gone, pa.scalar(None, pa.float64()), found)
    else:
        return None
    if found is None:
        return None
    return pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)


def _of_number_texts(texts: pa.Array, missing: Collection[str]) -> pa.DoubleArray | None:
    found = _parsed(texts)
    if found is None or set(missing) != {""}:
        known = _without(texts, missing, NO_NUMBER)
        found = _parsed(known)
        if found is None:
            found = _parsed(_booleans(known))
    return found


def _parsed(texts: pa.Array) -> pa.DoubleArray | None:
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        plain = pc.replace_substring_regex(texts, r"^\+([0-9.])", r"\1")
    try:
        return plain.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def _booleans(texts: pa.Array) -> pa.Array:
    """Return true as 1 and false as 0, where nothing else is there."""
    lower = pc.utf8_lower(texts)
    known = pc.is_in(lower, value_set=pa.array(["true", "false"]))
    if not pc.all(pc.or_kleene(known, pc.is_null(texts))).as_py():
        return texts
    return pc.if_else(pc.equal(lower, "true"), "1", "0")


def _first_unfit(column: pa.Array, missing: Collection[str], needed: str) -> str:
    """Return the first value that does not fit, else what is wrong with all together."""
    kind = _value_type(column)
    if not (_is_text(kind) or _is_bytes(kind)):
        example = next((v for v in _decoded(column)[:1000].to_pylist() if v is not None), None)
        return f"a column of type {kind}, such as {example}"
    found = set()
    for value in pc.unique(_decoded(column)).to_pylist():
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if text is None or text in missing or text.strip().lower() in NO_NUMBER:
            continue
        form = _form(text.strip())
        if form is None or (needed == NUMBERS and form != "numbers"):
            return repr(value)
        found.add(form)
    return "both in one column" if len(found) == 2 else f"a column of type {kind}"


def _form(text: str) -> Form | None:
    try:
        float(text)
    except ValueError:
        pass
    else:
        return "numbers"
    return "dates" if is_moment(text) else None
