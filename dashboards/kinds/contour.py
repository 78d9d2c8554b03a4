"""The values over two settings, and a surface between them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from dashboards.kinds.common import counted, only_largest, rows_as_ints, star
from dashboards.kinds.settings import chosen_settings, places
from dashboards.marks import BEST, Axis, Floats, Heat, Mark, Panel, Points
from dashboards.picture import Picture
from dashboards.records import Records
from dashboards.scales import Scale
from dashboards.words import metric_label
from hbpr.errors import ConfigError

#: Places of the surface along each setting.
_GRID: Final = 60
#: Runs that carry the surface at most.
_MOST_CORNERS: Final = 1000


def contour(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return the values over two settings: between trials the surface is interpolated.

    Raises:
        ConfigError: Not two settings were named, or there are none that differ.
    """
    rows, note = only_largest(records)
    if len(names) not in (0, 2):
        raise ConfigError(f"a contour takes two settings, got {len(names)}: {', '.join(names)}")
    scales = records.scales_among(rows)
    chosen = (
        chosen_settings(records, names, rows) if names else _two_that_matter(records, rows, scales)
    )
    (x, x_axis), (y, y_axis) = (places(records, scales[name], rows) for name in chosen)
    known = rows[rows["value"].notna() & x.notna() & y.notna()]
    marks: list[Mark] = []
    ranges = all(scales[name].kind != "choice" for name in chosen)
    heat = ranges and _surface(x[known.index], y[known.index], known["value"], (x_axis, y_axis))
    if heat:
        marks.append(Heat(*heat, metric_label(records.metric)))
    marks.append(
        Points(
            x[known.index].to_numpy(float),
            y[known.index].to_numpy(float),
            rows_as_ints(known),
            "a run",
            "white",
            "dot",
            5.0,
            0.9,
            known["value"].to_numpy(float),
            "" if heat else metric_label(records.metric),
        )
    )
    some = f", from {_MOST_CORNERS:,} of them" if len(known) > _MOST_CORNERS else ""
    between = f" Between runs the colours are interpolated{some}." if heat else ""
    best = records.best(rows)
    if best is not None:
        at = star(best, x)
        marks.append(Points(at.x, star(best, y).x, at.runs, "best", BEST, "star", 12.0, 1.0))
    return Picture(
        "contour",
        f"{metric_label(records.metric)} over two settings: {records.title}",
        f"{counted(records, rows)}{between}{note}",
        (Panel(x_axis, y_axis, tuple(marks)),),
        1,
        records.names,
    )


def _two_that_matter(records: Records, rows: pd.DataFrame, scales: dict[str, Scale]) -> list[str]:
    """Return the two settings that matter most as far as that is known, ranges first."""
    found = chosen_settings(records, (), rows)
    if len(found) < 2:
        raise ConfigError(f"{records.title}: a contour takes two settings, one differs: {found[0]}")
    costs: dict[str, float] = {}
    for study in {id(records.owners[i]): records.owners[i] for i in rows.index}.values():
        for importance in study.findings.importance[:1]:
            costs |= {each.setting: each.cost for each in importance.effects}
    ranges = {name for name in found if scales[name].kind != "choice"}
    return sorted(found, key=lambda name: (-costs.get(name, 0.0), name not in ranges))[:2]


def _surface(
    x: pd.Series, y: pd.Series, values: pd.Series, axes: tuple[Axis, Axis]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return a grid of interpolated values inside of what the runs span; None for too few runs.

    Of many runs `_MOST_CORNERS` carry it, evenly chosen: there are no more places in the grid.
    """
    from scipy.spatial import QhullError

    def scaled(numbers: np.ndarray, axis: Axis) -> np.ndarray:
        return np.log(numbers) if axis.log else numbers

    grids = []
    for numbers, axis in ((x.to_numpy(float), axes[0]), (y.to_numpy(float), axes[1])):
        if len(np.unique(numbers)) < 3:
            return None
        low, high = numbers.min(), numbers.max()
        space = np.geomspace if axis.log else np.linspace
        grids.append(space(low, high, _GRID))
    points = np.column_stack(
        [scaled(x.to_numpy(float), axes[0]), scaled(y.to_numpy(float), axes[1])]
    )
    where = np.meshgrid(scaled(grids[0], axes[0]), scaled(grids[1], axes[1]))
    kept = np.linspace(0, len(points) - 1, min(len(points), _MOST_CORNERS)).astype(int)
    try:
        found = interpolated(points[kept], values.to_numpy(float)[kept], where)
    except (QhullError, ValueError):
        return None
    return grids[0], grids[1], found


def interpolated(points: Floats, values: Floats, where: Sequence[Floats]) -> Floats:
    """Return linear interpolation in Delaunay's triangles; NaN outside of them.

    `scipy.interpolate.griddata` does the same and looks for the triangle of a place by walking from
    one to the next, which loses its way outside of them: seconds where this takes hundredths.

    Args:
        points: (n, 2) places of the values.
        values: (n,) values.
        where: The places that are asked for, x and y of the same shape.
    """
    from scipy.spatial import Delaunay

    low, spread = points.min(axis=0), np.ptp(points, axis=0)
    places = (np.column_stack([each.ravel() for each in where]) - low) / spread
    triangles = Delaunay((points - low) / spread)
    at = triangles.find_simplex(places, bruteforce=True)
    maps = triangles.transform[at]
    shares = np.einsum("nij,nj->ni", maps[:, :2], places - maps[:, 2])
    shares = np.column_stack([shares, 1.0 - shares.sum(axis=1)])
    found = (values[triangles.simplices[at]] * shares).sum(axis=1)
    found[at < 0] = np.nan
    grid: Floats = found.reshape(where[0].shape)
    return grid
