"""Learning curves in a terminal: dots of braille, two by four in a character."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.text import Text

#: The bit of each dot of a braille character, by column and row.
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK: Final = 0x2800


class Curve(NamedTuple):
    """A curve and its style; of several on one spot the last one gives the colour.

    Attributes:
        points: Epoch -> value.
        style: Of rich.
    """

    points: Mapping[int, float]
    style: str


def chart(curves: Sequence[Curve], *, width: int, height: int, plain: bool = False) -> list[Text]:
    """Return the lines of a chart; empty where no curve has a finite value.

    Args:
        curves: From the back to the front.
        width: Characters, the labels of the values included.
        height: Lines, without that of the epochs.
        plain: The terminal shows ASCII alone: a star in place of dots.
    """
    lines = [(_finite(each.points), each.style) for each in curves]
    values = [value for points, _ in lines for _, value in points]
    if not values:
        return []
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    last = max(epoch for points, _ in lines for epoch, _ in points)
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels)) + 1
    cells = _Cells(max(width - margin - 1, 8), height)
    for points, style in lines:
        spots = [
            (
                round(epoch / max(last, 1) * (2 * cells.width - 1)),
                round((high - value) / (high - low) * (4 * height - 1)),
            )
            for epoch, value in points
        ]
        cells.draw(spots, style)
    rows = []
    for row in range(height):
        label = labels[0] if row == 0 else labels[1] if row == height - 1 else ""
        axis = "|" if plain else "│"
        text = Text(no_wrap=True).append(f"{label:>{margin - 1}} {axis}", style="dim")
        rows.append(text.append_text(cells.line(row, plain)))
    foot = f"{'0':>{margin + 1}}{f'epoch {last}':>{cells.width - 1}}"
    return [*rows, Text(foot, style="dim")]


def _finite(points: Mapping[int, float]) -> list[tuple[int, float]]:
    return sorted((epoch, value) for epoch, value in points.items() if math.isfinite(value))


class _Cells:
    """Characters with dots in them."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self._bits = [[0] * width for _ in range(height)]
        self._styles = [[""] * width for _ in range(height)]

    def draw(self, spots: Sequence[tuple[int, int]], style: str) -> None:
        """Draw a line through dots; one dot alone is drawn as well."""
        for (x0, y0), (x1, y1) in zip(spots, spots[1:] or spots, strict=False):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for step in range(steps + 1):
                self._dot(
                    round(x0 + (x1 - x0) * step / steps),
                    round(y0 + (y1 - y0) * step / steps),
                    style,
                )

    def _dot(self, x: int, y: int, style: str) -> None:
        self._bits[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        self._styles[y // 4][x // 2] = style

    def line(self, row: int, plain: bool) -> Text:
        """Return a row of characters in their styles."""
        text = Text()
        for bits, style in zip(self._bits[row], self._styles[row], strict=True):
            dots = ("*" if bits else " ") if plain else chr(_BLANK + bits)
            text.append(dots if bits else " ", style=style)
        return text
