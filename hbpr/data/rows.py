"""Checks of the columns that one call adds: equal lengths, usable weights."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from hbpr.data import normal
from hbpr.data.frames import as_arrow
from hbpr.data.ids import Coded
from hbpr.errors import DataError


def check_weights(
    place: str, columns: dict[str, Coded | None], weights: ArrayLike | None
) -> NDArray[np.float32] | None:
    """Check that columns and weights have the same length and that every weight is finite.

    Args:
        place: What was called, for messages.
        columns: The other columns by name; None stands for one without rows.
        weights: (n,) weights, or None.

    Returns:
        (n,) weights as float32, or None.

    Raises:
        DataError: Lengths differ, or a weight is not a number that float32 can hold.
    """
    lengths = {name: 0 if c is None else len(c.codes) for name, c in columns.items()}
    numbers: NDArray[np.float64] | None = None
    if weights is not None:
        try:
            numbers = np.asarray(weights, np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}: weights must be numbers, {error}") from error
        if numbers.ndim != 1:
            raise DataError(f"{place}: weights must be one-dimensional, got {numbers.shape}")
        lengths["weights"] = len(numbers)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n} rows" for name, n in lengths.items())
        raise DataError(f"{place}: all columns must have the same length, but {told}")
    if numbers is None:
        return None
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    refuse_weights(place, ~np.isfinite(single), numbers, "finite")
    return single


def check_propensities(
    place: str, n_rows: int, propensities: ArrayLike | None
) -> NDArray[np.float64] | None:
    """Check a column of probabilities with which rows were logged.

    Args:
        place: What was called, for messages.
        n_rows: Rows of the other columns.
        propensities: (n,) numbers above 0, at most 1; None: not known.

    Raises:
        DataError: The length differs, or a value is no such number.
    """
    if propensities is None:
        return None
    try:
        numbers = np.array(propensities, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}: propensities must be numbers, {error}") from error
    if numbers.shape != (n_rows,):
        raise DataError(
            f"{place}: all columns must have the same length, but users has {n_rows} rows, "
            f"propensities is of shape {numbers.shape}"
        )
    _refuse(place, "propensities", ~((numbers > 0) & (numbers <= 1)), numbers, "above 0, at most 1")
    return numbers


def check_times(place: str, n_rows: int, times: ArrayLike | None) -> NDArray[np.float64] | None:
    """Check a column of times.

    Args:
        place: What was called, for messages.
        n_rows: Rows of the other columns.
        times: (n,) numbers, or datetimes or ISO texts, which become seconds since 1970 (of UTC
            where they have no zone); a series or array of numpy, pandas, polars or Arrow, or a
            list. None: not known.

    Returns:
        (n,) times, or None.

    Raises:
        DataError: The length differs, or a time is missing or no number.
    """
    if times is None:
        return None
    numbers = _as_seconds(place, times)
    if numbers.shape != (n_rows,):
        raise DataError(
            f"{place}: all columns must have the same length, but users has {n_rows} rows, times "
            f"is of shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(
            f"{place}: times must be known and finite, got {np.asarray(times)[row]} in row {row}. "
            "Give all rows a time, or none"
        )
    return numbers


def _as_seconds(place: str, times: Any) -> NDArray[np.float64]:
    """Take any column of times: numbers, datetimes with or without a zone, or ISO texts."""
    given = np.asarray(times) if isinstance(times, np.ndarray) else times
    if isinstance(given, np.ndarray):
        if given.dtype.kind in "iuf":
            return given.astype(np.float64)
        if given.dtype.kind == "M":
            numbers = given.astype("datetime64[us]").astype(np.float64) / 1e6
            numbers[np.isnat(given)] = np.nan
            return numbers
        if given.ndim != 1:
            return np.zeros(given.shape)  # the shape is refused
    try:
        column = as_arrow(given)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{place}: times must be numbers or datetimes, {error}") from error
    seconds, _ = normal.times(column, f"{place}: times")
    return np.asarray(seconds.fill_null(np.nan).to_numpy(zero_copy_only=False), np.float64)


def refuse_weights(place: str, wrong: NDArray[np.bool_], weights: NDArray[Any], rule: str) -> None:
    """Raise if any row is wrong, naming the first.

    Raises:
        DataError: A row is wrong.
    """
    _refuse(place, "weights", wrong, weights, rule)


def _refuse(
    place: str, what: str, wrong: NDArray[np.bool_], values: NDArray[Any], rule: str
) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{place}: {what} must be {rule}, got {values[row]} in row {row} "
            f"({int(wrong.sum())} such rows)"
        )
