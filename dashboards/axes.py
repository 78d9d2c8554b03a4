"""Axes of panels as plotly takes them: where they lie, and their ticks."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from dashboards.marks import Axis, Description, Floats, Line, Lines, Panel, Points

#: Pixels that a figure with several panels has across, about.
_WIDTH: Final = 1180


def add_axes(
    layout: dict[str, Any],
    panel: Panel,
    picture: Description,
    place: int,
    shape: tuple[int, int],
    mark: str,
) -> None:
    """Add both axes of a panel, and its title, to a layout.

    Args:
        layout: Plotly's.
        panel: The panel.
        picture: The picture that it is of.
        place: Number of the panel in it.
        shape: Rows and columns of panels.
        mark: What follows the names of its axes.
    """
    rows, columns = shape
    row, column = divmod(place, columns)
    gap_x = 0.0 if columns == 1 else min(_room_for_ticks(picture) / _WIDTH, 0.5 / columns)
    gap_y = 0.28 / rows if rows > 1 else 0.0
    width = (1.0 - gap_x * (columns - 1)) / columns
    height = (1.0 - gap_y * (rows - 1)) / rows
    left, top = column * (width + gap_x), 1.0 - row * (height + gap_y)
    x, y = (
        _axis(axis, _places(panel, at) if axis.whole else [])
        for axis, at in ((panel.x, "x"), (panel.y, "y"))
    )
    x |= {"domain": [left, min(left + width, 1.0)], "anchor": f"y{mark}"}
    y |= {"domain": [max(top - height, 0.0), min(top, 1.0)], "anchor": f"x{mark}"}
    if picture.share_y and place:
        y["matches"] = "y"
    layout[f"xaxis{mark}"], layout[f"yaxis{mark}"] = x, y
    if panel.title:
        layout["annotations"].append(
            {
                "text": panel.title,
                "xref": "paper",
                "yref": "paper",
                "x": left,
                "y": top,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )


def _room_for_ticks(picture: Description) -> float:
    """Return the pixels that title and ticks of an upward axis take."""
    texts = [text for panel in picture.panels for _, text in panel.y.ticks]
    return 75 + 6.5 * max((len(line) for text in texts for line in text.split("\n")), default=0)


def _axis(axis: Axis, places: list[Floats]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": {"text": axis.label, "standoff": 8},
        "gridcolor": "rgba(128,134,139,0.25)",
        "zeroline": False,
        "automargin": True,
    }
    if axis.log:
        made |= {"type": "log", "dtick": "D2" if not axis.ticks else None}
    if axis.whole and not axis.log:
        made |= {"tickformat": ",d", "dtick": _whole_step(places)}
    if axis.ticks:
        made |= {
            "tickmode": "array",
            "ticklabeloverflow": "allow",
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": [text.replace("\n", "<br>") for _, text in axis.ticks],
        }
    if axis.low is not None and axis.high is not None:
        ends = [axis.low, axis.high]
        made["range"] = list(np.log10(ends)) if axis.log else ends
    return {key: value for key, value in made.items() if value is not None}


def _places(panel: Panel, at: str) -> list[Floats]:
    """Return where points and lines of a panel lie on one axis."""
    found = []
    for mark in panel.marks:
        parts = mark.lines if isinstance(mark, Lines) else (mark,)
        found += [getattr(part, at) for part in parts if isinstance(part, Line | Points)]
    return [each for each in found if len(each)]


def _whole_step(places: list[Floats]) -> int:
    """Return a step of whole ticks that leaves ten at most.

    Example:
        >>> _whole_step([np.array([1.0, 4.0])]), _whole_step([np.array([0.0, 64.0])])
        (1, 10)
    """
    if not places:
        return 1
    span = float(max(each.max() for each in places) - min(each.min() for each in places))
    steps: Iterator[int] = (step * 10**power for power in range(12) for step in (1, 2, 5))
    return next(step for step in steps if span <= 10 * step)
