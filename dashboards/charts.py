"""Where the marks of a page's charts lie; `templates/charts.html` draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.words import STATES
from hbpr.tracking.records import TrialRecord

WIDTH: Final = 900
_COLOURS: Final = {"COMPLETE": "#2f6fb0", "PRUNED": "#b9c4d0", "FAIL": "#c0392b"}
_OTHER: Final = "#888"


@dataclass(frozen=True)
class Dot:
    """A mark, with what a reader sees who points at it."""

    x: float
    y: float
    colour: str
    title: str


@dataclass(frozen=True)
class Label:
    """A line of text; `anchor` is ``start`` or ``end``."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Chart:
    """Dots, one line through points, and labels, in a box of `WIDTH` x `height`."""

    height: int
    line: tuple[tuple[float, float], ...]
    dots: tuple[Dot, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Scale:
    """Values to pixels, of which the first is that of `low`."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Return where a value lies; where all are equal, at the first pixel."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.first + (self.last - self.first) * share


def best_so_far(
    values: Sequence[float | None], states: Sequence[str], *, lower: bool = False
) -> list[float | None]:
    """Return the best value up to each trial among those that ran to their end.

    Where none did, all count: the winner is chosen likewise.

    Example:
        >>> best_so_far([0.2, 0.9, 0.1, None], ["COMPLETE", "PRUNED", "COMPLETE", "FAIL"])
        [0.2, 0.2, 0.2, 0.2]
    """
    ended = "COMPLETE" in states
    best: float | None = None
    line = []
    for value, state in zip(values, states, strict=True):
        if value is not None and (state == "COMPLETE" or not ended):
            better = best is None or (value < best if lower else value > best)
            best = value if better else best
        line.append(best)
    return line


def progress_chart(trials: Sequence[tuple[int, TrialRecord]]) -> Chart | None:
    """Return a dot a trial, and the best so far as a line; None without values.

    Args:
        trials: Each with its number on the page.
    """
    shown = [
        (number, trial, trial.value)
        for number, trial in trials
        if trial.value is not None and trial.value == trial.value
    ]
    if not shown:
        return None
    height, left, below = 240, 60, 30
    values = [value for _, _, value in shown]
    low, high = min(values), max(values)
    first, last = trials[0][0], max(number for number, _, _ in shown)
    across = Scale(first, max(last, first + 1), left, WIDTH - 10)
    up = Scale(high, low, 10, height - below)
    dots = tuple(
        Dot(
            across(number),
            up(value),
            _COLOURS.get(trial.state, _OTHER),
            f"{trial.run.name if trial.run else f'trial {number}'}: {value:.4f}, "
            f"{STATES.get(trial.state, trial.state.lower())}",
        )
        for number, trial, value in shown
    )
    best = best_so_far(values, [trial.state for _, trial, _ in shown])
    line = tuple(
        (across(number), up(value))
        for (number, _, _), value in zip(shown, best, strict=True)
        if value is not None
    )
    labels = (
        Label(0, 14, f"{high:.4f}"),
        Label(0, height - below, f"{low:.4f}"),
        Label(
            left,
            height - 6,
            f"trials {first} to {last}; blue: ran to the end, grey: stopped, red: failed; "
            "line: the best so far",
        ),
    )
    return Chart(height, line, dots, labels)
