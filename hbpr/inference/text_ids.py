"""Ids found by their text, as a URL, a file or JSON holds them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbpr.errors import DataError

Id = int | float | str


class TextIds:
    """The ids of one side: 42 and "42" find the same one, whichever of them it is.

    Args:
        side: What they are, such as ``user``, for messages.
        ids: (n,) distinct ids, in index order.

    Attributes:
        values: The ids as Python's integers, floats or texts.
    """

    def __init__(self, side: str, ids: NDArray[Any]) -> None:
        self.side = side
        self.values: list[Id] = ids.tolist()
        self._rows = {str(value): row for row, value in enumerate(self.values)}
        if ids.dtype.kind == "f":  # 42.0 is also what 42 means
            for row, value in enumerate(self.values):
                if float(value).is_integer():
                    self._rows.setdefault(str(int(value)), row)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return ids by index, as an array of their own type; texts as objects."""
        kind = object if self.values and isinstance(self.values[0], str) else None
        return np.array(self.values, kind)[rows]

    def row(self, given: Any) -> int | None:
        """Return an id's index, or None if it is not known."""
        return self._rows.get(str(given))

    def rows(self, given: Iterable[Any]) -> tuple[NDArray[np.int64], list[Any]]:
        """Return the index of each known id, in the order given, and the ids not known."""
        rows, unknown = list[int](), []
        for each in given:
            row = self._rows.get(str(each))
            if row is None:
                unknown.append(each)
            else:
                rows.append(row)
        return np.array(rows, np.int64), unknown

    def known(self, given: Iterable[Any], place: str) -> NDArray[np.int64]:
        """Return the index of each id.

        Raises:
            DataError: Some are not known; `place` begins the message.
        """
        if isinstance(given, str | bytes):
            raise DataError(f"{place}: expected a list of {self.side} ids, got {given!r}")
        rows, unknown = self.rows(given)
        if unknown:
            raise DataError(f"{place}: {self.unknown(unknown)}")
        return rows

    def unknown(self, ids: Sequence[Any]) -> str:
        """Say which ids are not known, and how many there are."""
        shown = ", ".join(f"{str(each)[:80]!r}" for each in ids[:5])
        return (
            f"unknown {self.side} {shown}{', ...' if len(ids) > 5 else ''}: not among the "
            f"{len(self.values):,} {self.side}s of the training data"
        )
