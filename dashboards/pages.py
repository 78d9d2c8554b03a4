"""Pictures as plotly draws them, in pages and notebooks."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dashboards.axes import add_axes
from dashboards.marks import (
    Band,
    Description,
    Heat,
    Line,
    Lines,
    Mark,
    Points,
    Spans,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SYMBOLS: Final = {"dot": "circle", "cross": "x", "star": "star", "square": "square"}


def figure_of(picture: Description) -> "Figure":
    """Return a picture as a figure; pointing at a mark tells of its run."""
    from plotly.graph_objects import Figure

    described = describe(picture, texts=True)
    return Figure(described["data"], described["layout"])


def describe(picture: Description, *, texts: bool) -> dict[str, Any]:
    """Return ``data`` and ``layout`` of plotly for a picture.

    Args:
        picture: The picture.
        texts: Whether each mark carries what is known of its run; a page that tells of runs itself
            has only their rows, in ``customdata``.
    """
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "margin": {"l": 60, "r": 16, "t": 40, "b": 110},
        "template": "none",
        "hovermode": "closest",
        "barmode": "overlay",  # else bars of several colours stand beside their places
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "annotations": [],
    }
    if texts:
        layout["title"] = {"text": picture.title, "x": 0.01}
        layout["paper_bgcolor"] = layout["plot_bgcolor"] = "white"
    n, columns = len(picture.panels), picture.columns
    rows = -(-n // columns)
    layout["height"] = 440 if n == 1 else 260 * rows + 120
    shown: set[str] = set()
    for place, panel in enumerate(picture.panels):
        mark_of_axis = "" if place == 0 else str(place + 1)
        add_axes(layout, panel, picture, place, (rows, columns), mark_of_axis)
        for mark in panel.marks:
            for trace in _traces(mark):
                name = trace.get("name", "")
                trace["showlegend"] = bool(name) and name not in shown
                trace |= {"xaxis": f"x{mark_of_axis}", "yaxis": f"y{mark_of_axis}"}
                trace.setdefault("legendgroup", name)
                shown.add(name)
                if texts:
                    _add_texts(trace, picture)
                elif "customdata" in trace:
                    trace["hoverinfo"] = "none"
                data.append(trace)
    return {"data": data, "layout": layout}


def _traces(mark: Mark) -> list[dict[str, Any]]:
    if isinstance(mark, Lines):
        return _of_lines(mark)
    if isinstance(mark, Points):
        return [_of_points(mark)]
    if isinstance(mark, Band):
        return [
            {
                "type": "scatter",
                "x": np.concatenate([mark.x, mark.x[::-1]]),
                "y": np.concatenate([mark.high, mark.low[::-1]]),
                "fill": "toself",
                "line": {"width": 0},
                "fillcolor": mark.colour,
                "opacity": 0.2,
                "mode": "lines",
                "name": mark.name,
                "hoverinfo": "skip",
            }
        ]
    if isinstance(mark, Spans):
        return _of_spans(mark)
    return _of_heat(mark)


def _of_lines(mark: Lines) -> list[dict[str, Any]]:
    """Return all lines as one trace, with gaps between them, and single points as another."""
    found = []
    for alone in (False, True):
        lines = [line for line in mark.lines if (len(line.x) == 1) == alone]
        if lines:
            found.append(_joined(mark, lines, "markers" if alone else "lines"))
    return found


def _joined(mark: Lines, lines: list[Line], mode: str) -> dict[str, Any]:
    gap = np.array([np.nan])
    trace = {
        "type": "scatter",
        "mode": mode,
        "connectgaps": False,
        "x": np.concatenate([part for line in lines for part in (line.x, gap)]),
        "y": np.concatenate([part for line in lines for part in (line.y, gap)]),
        "line": {
            "color": mark.colour,
            "width": mark.width,
            "shape": "hv" if mark.steps else "linear",
        },
        "marker": {"color": mark.colour, "size": 4},
        "opacity": mark.opacity,
        "name": mark.name,
    }
    if any(line.run >= 0 for line in lines):
        trace["customdata"] = np.concatenate(
            [np.full(len(line.x) + 1, line.run, np.int32) for line in lines]
        )
    return trace


def _of_points(mark: Points) -> dict[str, Any]:
    marker: dict[str, Any] = {
        "symbol": _SYMBOLS[mark.shape],
        "size": mark.size * 1.3,
        "opacity": mark.opacity,
        "color": mark.colour,
        "line": {"width": 0.5, "color": "white"},
    }
    if mark.values is not None:
        marker |= {"color": mark.values, "colorscale": "Cividis"}
        marker |= {"showscale": bool(mark.label), "colorbar": _bar(mark.label)}
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": mark.x,
        "y": mark.y,
        "marker": marker,
        "name": mark.name,
    }
    if (mark.runs >= 0).any():
        trace["customdata"] = mark.runs.astype(np.int32)
    return trace


def _of_spans(mark: Spans) -> list[dict[str, Any]]:
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": mark.y,
        "x": mark.end - mark.start,
        "base": mark.start,
        "width": 0.7,
        "marker": {"color": mark.colour, "opacity": 0.85},
        "name": mark.name,
    }
    if (mark.runs >= 0).any():
        trace["customdata"] = mark.runs.astype(np.int32)
    if mark.low is not None and mark.high is not None:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": mark.high - mark.end,
            "arrayminus": mark.end - mark.low,
            "color": "#80868B",
        }
    return [trace]


def _bar(label: str) -> dict[str, Any]:
    return {"title": {"text": label, "side": "right"}, "thickness": 12}


def _of_heat(mark: Heat) -> list[dict[str, Any]]:
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": mark.x,
        "y": mark.y,
        "z": mark.values,
        "colorscale": "Cividis",
        "colorbar": _bar(mark.label),
        "hoverinfo": "x+y+z",
        "showlegend": False,
        "showscale": not mark.texts,
    }
    if mark.texts:
        trace |= {"text": [list(row) for row in mark.texts], "texttemplate": "%{text}"}
    return [trace]


def _add_texts(trace: dict[str, Any], picture: Description) -> None:
    rows = trace.get("customdata")
    if rows is None or not picture.names:
        return
    trace["text"] = [picture.names[row] if row >= 0 else "" for row in rows.tolist()]
    trace["hovertemplate"] = "%{text}<br>%{x}, %{y}<extra></extra>"
    if trace["type"] == "bar":
        trace["textposition"] = "none"
