"""The Pareto front as people see it: rows of a table, and a chart of two objectives."""

from collections.abc import Mapping
from html import escape
from typing import Any

from hbpr.names import ITEM_VECTOR_BYTES
from hbpr.tracking.records import TrialRecord
from tune.answer.result import StudyResult
from tune.settings.goals import Goals
from tune.space.dimensions import as_words

_WIDTH, _HEIGHT, _LEFT, _BELOW = 900, 300, 70, 45


def front_head(goals: Goals) -> tuple[str, ...]:
    """Return the headings of `front_row`."""
    return ("trial", *goals.metrics, "settings")


def front_row(
    goals: Goals, number: int, measured: Mapping[str, float], values: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return a trial's number, its values of all that the study looks at, and its settings."""
    cells = [measured_cell(name, measured[name]) for name in goals.metrics]
    return (str(number), *cells, as_words(values))


def front_rows(result: StudyResult) -> list[tuple[str, ...]]:
    """Return the front of a study that came to its result; empty where there is one objective."""
    if result.goals is None:
        return []
    return [front_row(result.goals, t.number, t.at_best, t.values) for t in result.front]


def front_title(result: StudyResult) -> str:
    """Return what the table of the front is, and which trial is the champion."""
    assert result.goals is not None
    return (
        f"Pareto front: {len(result.front)} of {len(result.trials)} trials; the champion is trial "
        f"{result.best.number}, by {result.goals.objectives[0].metric}"
    )


def limits_line(result: StudyResult) -> str | None:
    """Return the limits, the winner's values, and how many trials are outside; None without."""
    if result.goals is None or not result.goals.limits:
        return None
    limits = "; ".join(
        f"{limit} (winner {measured_cell(limit.metric, result.best.at_best[limit.metric])})"
        for limit in result.goals.limits
    )
    return f"{limits}; {result.n_outside} of {len(result.trials)} trials are outside"


def measured_cell(name: str, value: float) -> str:
    """Return a value as a table shows it.

    Example:
        >>> measured_cell("item_vector_bytes", 1536000.0), measured_cell("val/auc", 0.91234)
        ('1,536,000', '0.9123')
    """
    return f"{value:,.0f}" if name == ITEM_VECTOR_BYTES else f"{value:.4f}"


def front_chart(result: StudyResult) -> str:
    """Return an SVG of the first two objectives: all trials as dots, the front as a line."""
    assert result.goals is not None
    across, up = (objective.metric for objective in result.goals.objectives[1::-1])
    told = [t for t in result.trials if t.state == "COMPLETE" and t.at_best]
    if not told:
        return ""
    points = {t.number: (t.at_best[across], t.at_best[up]) for t in told}
    (left, right), (low, high) = ((min(v), max(v)) for v in zip(*points.values(), strict=True))

    def place(number: int) -> tuple[float, float]:
        x, y = points[number]
        return (
            _LEFT + 10 + (_WIDTH - _LEFT - 30) * (x - left) / ((right - left) or 1.0),
            10 + (_HEIGHT - _BELOW - 20) * (high - y) / ((high - low) or 1.0),
        )

    on_front = {t.number for t in result.front}
    dots = [_dot(result, t, *place(t.number), on_front) for t in told]
    line = sorted(place(number) for number in on_front if number in points)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<polyline points="{path}" fill="none" stroke="#2f6fb0" stroke-width="1.5"/>'
        f"{''.join(dots)}"
        f'<text x="0" y="14">{measured_cell(up, high)}</text>'
        f'<text x="0" y="{_HEIGHT - _BELOW}">{measured_cell(up, low)}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 26}">{measured_cell(across, left)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 26}" text-anchor="end">'
        f"{measured_cell(across, right)}</text>"
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">upwards: {escape(up)}; to the right: '
        f"{escape(across)}; blue: the front, red: outside of a limit</text></svg>"
    )


def _dot(result: StudyResult, trial: TrialRecord, x: float, y: float, on_front: set[int]) -> str:
    assert result.goals is not None
    outside = not result.goals.feasible(trial.at_best)
    colour = "#2f6fb0" if trial.number in on_front else "#c0392b" if outside else "#b9c4d0"
    values = ", ".join(
        f"{name} {measured_cell(name, trial.at_best[name])}" for name in result.goals.metrics
    )
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
        f"<title>trial {trial.number}: {escape(values)}</title></circle>"
    )
