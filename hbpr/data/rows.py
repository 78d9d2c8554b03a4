"""Checks of the columns that one call adds: equal lengths, usable weights."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def check_times(place: str, n_rows: int, times: ArrayLike | None) -> NDArray[np.float64] | None:
    """Check a column of times.

    Args:
        place: What was called, for messages.
        n_rows: Rows of the other columns.
        times: (n,) numbers, or datetimes, which become seconds since 1970; None: not known.

    Returns:
        (n,) times, or None.

    Raises:
        DataError: The length differs, or a time is missing or no number.
    """
    if times is None:
        return None
    given = np.asarray(times)
    try:
        if given.dtype.kind == "M":
            numbers = given.astype("datetime64[us]").astype(np.float64) / 1e6
            numbers[np.isnat(given)] = np.nan
        else:
            numbers = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}: times must be numbers or datetimes, {error}") from error
    if numbers.shape != (n_rows,):
        raise DataError(
            f"{place}: all columns must have the same length, but users has {n_rows} rows, times "
            f"is of shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(
            f"{place}: times must be known and finite, got {given[row]} in row {row}. Give all "
            "rows a time, or none"
        )
    return numbers


def refuse_weights(place: str, wrong: NDArray[np.bool_], weights: NDArray[Any], rule: str) -> None:
    """Raise if any row is wrong, naming the first.

    Raises:
        DataError: A row is wrong.
    """
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{place}: weights must be {rule}, got {weights[row]} in row {row} "
            f"({int(wrong.sum())} such rows)"
        )
