"""Pictures as matplotlib draws them; no pyplot, so nothing is kept between calls."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dashboards.marks import (
    Axis,
    Band,
    Description,
    Floats,
    Heat,
    Lines,
    Mark,
    Panel,
    Points,
    Spans,
)

_MARKERS: Final = {"dot": "o", "cross": "x", "star": "*", "square": "s"}
#: Signs of a tick's text that fit into an inch.
_SIGNS: Final = 13
_INK: Final = "#3C4043"
_DIM: Final = "#5F6368"


def draw(picture: Description) -> Figure:
    """Return a picture as a figure."""
    n, columns = len(picture.panels), picture.columns
    rows = -(-n // columns)
    aside = max((_widest([t]) for panel in picture.panels for _, t in panel.y.ticks), default=0)
    width = max((3.4 + max(0, aside - 8) / _SIGNS) * columns + 0.6, 7.0)
    height = 3.0 * rows + 1.0
    if n == 1:
        ticks = [_short(text, 9) for _, text in picture.panels[0].x.ticks]
        across = _widest(ticks) * len(ticks) / (0.9 * _SIGNS) if ticks else 0.0
        width, height = max(9.0, min(across, 15.0)), 5.4
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=picture.share_y)
    for place, panel in zip(axes.flat, picture.panels, strict=False):
        _draw_panel(place, panel, n > 1)
    for place in axes.flat[n:]:
        place.remove()
    seen: dict[str, Artist] = {}
    for place in axes.flat[:n]:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    caption = _wrapped(picture.caption, int(15 * width))
    if seen:
        longest = max(map(len, seen))
        legend = figure.legend(
            list(seen.values()),
            list(seen),
            loc="outside lower left",
            ncols=max(1, min(4, len(seen), int(12 * width / (longest + 6)))),
            frameon=False,
            fontsize=9,
            title=caption,
            title_fontsize=8,
            alignment="left",
        )
        legend.get_title().set_color(_DIM)
    else:
        figure.supxlabel(caption, fontsize=8, color=_DIM, x=0.01, ha="left")
    return figure


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def _draw_panel(axes: Axes, panel: Panel, small: bool) -> None:
    for mark in panel.marks:
        _draw(axes, mark)
    for which, axis in (("x", panel.x), ("y", panel.y)):
        _set_axis(axes, which, axis)
    if panel.title:
        axes.set_title(_wrapped(panel.title, 36), loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(panel.x.label, fontsize=9 if small else 10)
    axes.set_ylabel(panel.y.label, fontsize=9 if small else 10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E3E5E8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8 if small else 9, color="#80868B")


def _set_axis(axes: Axes, which: str, axis: Axis) -> None:
    ruler = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        ruler.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        ruler.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ruler.set_minor_formatter(NullFormatter())
    elif axis.whole:
        ruler.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if axis.ticks:
        places, texts = zip(*axis.ticks, strict=True)
        ruler.set_ticks(places, [_short(text, len(texts) if which == "x" else 1) for text in texts])
        columns = axes.get_gridspec().ncols  # type: ignore[union-attr]
        room = 0.9 * axes.figure.get_figwidth() / columns  # type: ignore[union-attr]
        if which == "x" and _widest(texts) * len(texts) > _SIGNS * room:
            axes.tick_params(axis="x", rotation=25)
    if axis.low is not None or axis.high is not None:
        (axes.set_xlim if which == "x" else axes.set_ylim)(axis.low, axis.high)


def _widest(texts: Sequence[str]) -> int:
    """Return the signs of the longest line, and a gap beside it."""
    return 2 + max(len(line) for text in texts for line in text.split("\n"))


def _short(text: str, n: int) -> str:
    most = 40 if n <= 3 else 24
    lines = text.split("\n")
    return "\n".join(line if len(line) <= most else line[: most - 1] + "…" for line in lines)


def _draw(axes: Axes, mark: Mark) -> None:
    if isinstance(mark, Lines):
        _draw_lines(axes, mark)
    elif isinstance(mark, Points):
        _draw_points(axes, mark)
    elif isinstance(mark, Band):
        axes.fill_between(
            mark.x, mark.low, mark.high, color=mark.colour, alpha=0.2, lw=0, label=mark.name or None
        )
    elif isinstance(mark, Spans):
        _draw_spans(axes, mark)
    else:
        _draw_heat(axes, mark)


def _draw_lines(axes: Axes, mark: Lines) -> None:
    segments: list[Floats] = []
    alone: list[Floats] = []
    for line in mark.lines:
        x, y = line.x, line.y
        if mark.steps and len(x) > 1:
            x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
        (segments if len(x) > 1 else alone).append(np.column_stack([x, y]))
    axes.add_collection(
        LineCollection(
            segments,
            colors=mark.colour,
            linewidths=mark.width,
            alpha=mark.opacity,
            label=mark.name or "_",
            rasterized=len(segments) > 500,
        )
    )
    if alone:
        places = np.concatenate(alone)
        axes.plot(
            places[:, 0], places[:, 1], "o", color=mark.colour, markersize=2.5, alpha=mark.opacity
        )
    axes.autoscale_view()


def _draw_points(axes: Axes, mark: Points) -> None:
    look = {"c": mark.values, "cmap": "cividis"} if mark.values is not None else {"c": mark.colour}
    if mark.shape != "cross":
        look |= {"edgecolors": "white", "linewidths": 0.5}
    drawn = axes.scatter(
        mark.x,
        mark.y,
        s=mark.size**2,
        marker=_MARKERS[mark.shape],
        alpha=mark.opacity,
        label=mark.name or None,
        zorder=4 if mark.shape == "star" else 3,
        rasterized=len(mark.x) > 2000,
        **look,
    )
    if mark.label:
        _add_bar(axes, drawn, mark.label)


def _draw_spans(axes: Axes, mark: Spans) -> None:
    axes.barh(
        mark.y,
        mark.end - mark.start,
        left=mark.start,
        height=0.7,
        color=mark.colour,
        alpha=0.85,
        label=mark.name or None,
    )
    if mark.low is not None and mark.high is not None:
        axes.hlines(mark.y, mark.low, mark.high, color=_INK, lw=1.6)


def _add_bar(axes: Axes, mapped: ScalarMappable, label: str) -> None:
    bar = axes.figure.colorbar(mapped, ax=axes, pad=0.02)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _edges(centres: Floats) -> Floats:
    """Return the edges of cells around (n,) centres, (n + 1,); a single one is 1 wide."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _draw_heat(axes: Axes, mark: Heat) -> None:
    mesh = axes.pcolormesh(_edges(mark.x), _edges(mark.y), mark.values, cmap="cividis")
    if not mark.texts:
        _add_bar(axes, mesh, mark.label)
    middle = np.nanmean(mark.values) if np.isfinite(mark.values).any() else 0.0
    for y, row, values in zip(mark.y, mark.texts, mark.values, strict=bool(mark.texts)):
        for x, text, value in zip(mark.x, row, values, strict=True):
            dark = np.isfinite(value) and value < middle
            axes.text(
                x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
            )
