"""What a figure shows, without how it is drawn: `paper` draws with matplotlib, `pages` with plotly.

Colours are those of Okabe and Ito, which stay apart for colour-blind readers and in grey; what is
told apart by colour has another shape or name as well.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

BEST: Final = "#D55E00"
STOPPED: Final = "#9AA0A6"
FAILED: Final = "#000000"
SERIES: Final = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shape = Literal["dot", "cross", "star", "square"]


@dataclass(frozen=True)
class Line:
    """A line through points; `run` is the row of its run, -1 for one that is of no single run."""

    x: Floats
    y: Floats
    run: int = -1


@dataclass(frozen=True)
class Lines:
    """Lines that look alike, `name` for the legend; `steps`: a value holds until the next."""

    lines: tuple[Line, ...]
    name: str = ""
    colour: str = SERIES[0]
    width: float = 1.2
    opacity: float = 1.0
    steps: bool = False


@dataclass(frozen=True)
class Points:
    """(n,) places, and the row of the run of each or -1; `values` colour them by a scale.

    With a `label` the scale is drawn, too.
    """

    x: Floats
    y: Floats
    runs: Ints
    name: str = ""
    colour: str = SERIES[0]
    shape: Shape = "dot"
    size: float = 6.0
    opacity: float = 0.85
    values: Floats | None = None
    label: str = ""


@dataclass(frozen=True)
class Band:
    """What lies between two lines."""

    x: Floats
    low: Floats
    high: Floats
    name: str = ""
    colour: str = SERIES[0]


@dataclass(frozen=True)
class Spans:
    """Horizontal bars from `start` to `end` at heights `y`, with intervals of `end` or without."""

    y: Floats
    start: Floats
    end: Floats
    runs: Ints
    name: str = ""
    colour: str = SERIES[0]
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Heat:
    """(n_y, n_x) values as colours, NaN: nothing; `texts` of the same shape are written on them."""

    x: Floats
    y: Floats
    values: Floats
    label: str
    texts: tuple[tuple[str, ...], ...] = ()


Mark = Lines | Points | Band | Spans | Heat


@dataclass(frozen=True)
class Axis:
    """An axis: `ticks` are places with texts, `low` and `high` its ends; None: as the marks are."""

    label: str = ""
    log: bool = False
    whole: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """Marks on two axes."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""


@dataclass(frozen=True)
class Description:
    """A figure: what is drawn, and what to know of it.

    Attributes:
        kind: Its name in `dashboards.kinds.KINDS`.
        title: What it shows.
        caption: How many runs it rests on, what its marks mean and what is left out.
        panels: Side by side, in rows of `columns`.
        columns: Panels of a row.
        names: What is known of each run that marks name by its row.
        share_y: Whether all panels have the same upward axis.
    """

    kind: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    columns: int = 1
    names: tuple[str, ...] = ()
    share_y: bool = False


def thinned(mark: Mark, most: int) -> tuple[Mark, int]:
    """Return a mark with at most `most` lines or points, evenly chosen, and how many that omits."""
    if isinstance(mark, Lines) and len(mark.lines) > most:
        kept = np.linspace(0, len(mark.lines) - 1, most).astype(int)
        return replace(mark, lines=tuple(mark.lines[i] for i in kept)), len(mark.lines) - most
    if isinstance(mark, Points | Spans):
        n = len(mark.y)
        if n > most:
            kept = np.linspace(0, n - 1, most).astype(int)
            fields = [
                f
                for f in ("x", "y", "runs", "values", "start", "end", "low", "high")
                if getattr(mark, f, None) is not None
            ]
            return replace(mark, **{f: getattr(mark, f)[kept] for f in fields}), n - most
    return mark, 0
