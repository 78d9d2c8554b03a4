"""Where the marks of a page's charts lie; `templates/charts.html` draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.words import STATES, effect_words
from hbpr.formats import measured_cell
from hbpr.tracking.findings import Importance
from hbpr.tracking.records import StudyRecord, TrialRecord

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
class Bar:
    """A value as a bar with its name, and its interval as a line; `y` is the top of its row.

    `after` is where the text begins.
    """

    y: int
    x: float
    width: float
    low: float
    high: float
    after: float
    name: str
    text: str


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


def front_chart(record: StudyRecord) -> Chart | None:
    """Return the first two objectives: all trials as dots, the front as a line."""
    across_name, up_name = (each.metric for each in record.goals.objectives[1::-1])
    shown = [trial for trial in record.trials if trial.state == "COMPLETE" and trial.at_best]
    if not shown:
        return None
    height, left, below = 300, 70, 45
    across_values = [trial.at_best[across_name] for trial in shown]
    up_values = [trial.at_best[up_name] for trial in shown]
    across = Scale(min(across_values), max(across_values), left + 10, WIDTH - 20)
    up = Scale(max(up_values), min(up_values), 10, height - below - 10)
    on_front = {trial.number for trial in record.front}
    dots = tuple(
        Dot(across(x), up(y), _front_colour(record, trial, on_front), _front_title(record, trial))
        for trial, x, y in zip(shown, across_values, up_values, strict=True)
    )
    line = sorted(
        (dot.x, dot.y) for dot, trial in zip(dots, shown, strict=True) if trial.number in on_front
    )
    low, high = min(up_values), max(up_values)
    labels = (
        Label(0, 14, measured_cell(up_name, high)),
        Label(0, height - below, measured_cell(up_name, low)),
        Label(left, height - 26, measured_cell(across_name, min(across_values))),
        Label(WIDTH, height - 26, measured_cell(across_name, max(across_values)), "end"),
        Label(
            left,
            height - 6,
            f"upwards: {up_name}; to the right: {across_name}; blue: the front, "
            "red: outside of a limit",
        ),
    )
    return Chart(height, tuple(line), dots, labels)


def _front_colour(record: StudyRecord, trial: TrialRecord, on_front: set[int]) -> str:
    if trial.number in on_front:
        return _COLOURS["COMPLETE"]
    outside = not record.goals.feasible(trial.at_best)
    return _COLOURS["FAIL"] if outside else _COLOURS["PRUNED"]


def _front_title(record: StudyRecord, trial: TrialRecord) -> str:
    values = ", ".join(
        f"{name} {measured_cell(name, trial.at_best[name])}" for name in record.goals.metrics
    )
    return f"trial {trial.number}: {values}"


def bars(found: Importance) -> list[Bar]:
    """Return a bar for each effect, one below the other, 22 pixels each, on one scale around 0."""
    ends = [end for each in found.effects for end in (each.low, each.high, each.cost, 0.0)]
    if not ends:
        return []
    across = Scale(min(ends), max(ends), 260, WIDTH - 240)
    return [
        Bar(
            22 * row,
            across(min(each.cost, 0.0)),
            abs(across(each.cost) - across(0.0)),
            across(each.low),
            across(each.high),
            across(max(each.high, 0.0)) + 6,
            each.setting,
            effect_words(found.metric, each).partition(" ")[2],
        )
        for row, each in enumerate(found.effects)
    ]
