"""What trials cost: when and where they ran, and what value how many seconds of training bought."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboards.charts import best_so_far
from dashboards.kinds.common import (
    counted,
    rows_as_ints,
    series_of,
    some_groups,
    value_axis,
)
from dashboards.marks import FAILED, SERIES, STOPPED, Axis, Line, Lines, Panel, Spans
from dashboards.picture import Picture
from dashboards.records import Records
from hbpr.errors import ConfigError

_COLOURS = {"finished": SERIES[0], "stopped": STOPPED, "failed": FAILED, "running": SERIES[3]}


def timeline(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return when each run ran, on lanes of its node: a lane holds one run at a time.

    Runs that still go on are drawn up to now.

    Raises:
        ConfigError: No run says when it began.
    """
    runs = records.runs[records.runs["started"].notna()]
    if not len(runs):
        raise ConfigError(f"{records.title}: no run says when it began")
    began = (runs["started"] - pd.Timestamp(0)).dt.total_seconds().to_numpy(float)
    lengths = runs["duration_s"].to_numpy(float)
    now = np.nanmax(began + np.nan_to_num(lengths))
    ended = np.where(np.isnan(lengths), np.maximum(now, began), began + lengths)
    nodes = runs["node"].replace("", "node not recorded").to_numpy(str)
    lanes, ticks = _lanes(began, ended, nodes)
    unit, word = _unit(ended.max() - began.min())
    start, end = (began - began.min()) / unit, (ended - began.min()) / unit
    marks = []
    for state, colour in _COLOURS.items():
        part = (runs["state"] == state).to_numpy()
        if part.any():
            rows = rows_as_ints(runs)[part]
            marks.append(Spans(lanes[part], start[part], end[part], rows, state, colour))
    total = float(np.sum(ended - began)) / 3600
    return Picture(
        "timeline",
        f"Runs over time: {records.title}",
        f"{counted(records)} From the first start; all runs together: {total:.2f} hours.",
        (Panel(Axis(f"{word} from the first start"), Axis(ticks=ticks), tuple(marks)),),
        1,
        records.names,
    )


def cost(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return for each study the best value so far over the seconds spent on its runs."""
    groups = some_groups(records)
    recorded = 0
    panels = []
    for name, rows in groups:
        marks = []
        for each in series_of(records, rows):
            ends = each.rows["started"] + pd.to_timedelta(each.rows["duration_s"], unit="s")
            order = ends.sort_values(kind="stable").index
            some = each.rows.loc[order]
            own = some["run_id"].map(records.seconds)
            recorded += int(own.notna().sum())
            seconds = own.fillna(some["duration_s"]).fillna(0.0).to_numpy(float).cumsum()
            trials = [records.trials[i] for i in some.index]
            best = np.array(
                best_so_far(
                    [trial.value for trial in trials],
                    [trial.state for trial in trials],
                    lower=records.lower,
                ),
                float,
            )
            known = np.isfinite(best)
            if known.any():
                line = Line(seconds[known], best[known])
                marks.append(
                    Lines(
                        (line,), f"{each.name} ({len(some):,} runs)", each.colour, 2.0, steps=True
                    )
                )
        title = name if len(groups) > 1 else ""
        axis = Axis("seconds of training and evaluation")
        panels.append(Panel(axis, value_axis(records, "best "), tuple(marks), title))
    total = len(records.runs)
    source = (
        ""
        if recorded == total
        else f" {total - recorded:,} runs count from their start to their end."
    )
    return Picture(
        "cost",
        f"Best value against cost: {records.title}",
        f"{counted(records)} Seconds of all runs up to there. Of two lines the higher one is "
        f"better at equal cost.{source}",
        tuple(panels),
        min(len(panels), 2),
        records.names,
    )


def _lanes(
    began: np.ndarray, ended: np.ndarray, nodes: np.ndarray
) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Return a lane for each run, none with two at once, and where the nodes' names stand."""
    lanes = np.zeros(len(began))
    ticks = []
    first = 0
    for node in sorted(set(nodes)):
        free: list[float] = []
        for i in np.argsort(began, kind="stable"):
            if nodes[i] != node:
                continue
            lane = next((j for j, until in enumerate(free) if until <= began[i]), len(free))
            if lane == len(free):
                free.append(0.0)
            free[lane], lanes[i] = ended[i], first + lane
        ticks.append((first + (len(free) - 1) / 2, node))
        first += len(free) + 1
    return lanes, tuple(ticks)


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")
