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
