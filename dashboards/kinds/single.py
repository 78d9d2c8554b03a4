"""All that single runs measured, over epochs."""

from collections.abc import Mapping

import numpy as np

from dashboards.marks import SERIES, Axis, Line, Lines, Panel
from dashboards.picture import Picture
from dashboards.words import metric_label
from hbpr.errors import ConfigError
from hbpr.tracking.reader import History

_MOST_PANELS = 16


def runs_of(found: Mapping[str, History]) -> Picture:
    """Return a panel a metric, with a line a run.

    Args:
        found: Histories by run id.

    Raises:
        ConfigError: The runs have no metric.
    """
    metrics = sorted({name for history in found.values() for name in history.curves})
    shown = [name for name in metrics if not name.startswith("best/")][:_MOST_PANELS]
    if not shown:
        raise ConfigError(f"no metric in runs {', '.join(found)}")
    panels = []
    for name in shown:
        marks = []
        for number, (run_id, history) in enumerate(found.items()):
            curve = history.curves.get(name)
            if curve:
                line = Line(
                    np.array(list(curve), float), np.array(list(curve.values()), float), number
                )
                label = history.name if len(found) == 1 else f"{history.name} ({run_id[:6]})"
                marks.append(Lines((line,), label, SERIES[number % len(SERIES)], 1.8))
        panels.append(Panel(Axis("epoch", whole=True), Axis(metric_label(name)), tuple(marks)))
    columns = min(3, len(panels))
    title = ", ".join(history.name for history in found.values())
    left = len([name for name in metrics if not name.startswith("best/")]) - len(shown)
    return Picture(
        "run",
        f"Run {title}" if len(found) == 1 else f"Runs {title}",
        f"{len(found)} run{'s' if len(found) > 1 else ''}, {len(shown)} metrics"
        + (f"; {left} more are not drawn." if left else "."),
        tuple(panels),
        columns,
        tuple(f"{history.name} ({run_id})" for run_id, history in found.items()),
    )
