"""The metric over epochs, and over the trials of a search."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dashboards.charts import best_so_far
from dashboards.kinds.common import (
    Series,
    by_state,
    counted,
    series_of,
    some_groups,
    star,
    value_axis,
)
from dashboards.marks import BEST, FAILED, STOPPED, Axis, Line, Lines, Panel, Points
from dashboards.picture import Picture
from dashboards.records import Records


def curves(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return the learning curves of all runs; stopped ones faded, the best ones on top."""
    groups = some_groups(records)
    panels = []
    for name, rows in groups:
        best = records.best(rows)
        marks: list[Lines | Points] = []
        faded = rows[(rows["state"] != "finished") & rows["value"].notna()]
        lines = _lines(records, faded)
        if lines:
            only_stopped = bool((faded["state"] == "stopped").all())
            word = "stopped early" if only_stopped else "stopped, failed or running"
            marks.append(Lines(lines, f"{word} ({len(lines):,})", STOPPED, 0.8, 0.45))
        for each in series_of(records, rows):
            lines = _lines(records, each.rows[each.rows["state"] == "finished"])
            if lines:
                marks.append(
                    Lines(lines, f"{each.name}, finished ({len(lines):,})", each.colour, 1.1, 0.75)
                )
        if best is not None:
            value = f"{best['value']:.4f}"
            marks.append(Lines(_lines(records, rows.loc[[best.name]]), "", BEST, 2.6))
            at = star(best, float(best["best_epoch"]))
            marks.append(replace(at, name=f"best: {best['run']}, {value}"))
        title = name if len(groups) > 1 else ""
        panels.append(Panel(Axis("epoch", whole=True), value_axis(records), tuple(marks), title))
    without = int(records.runs["value"].isna().sum())
    rest = f" {without:,} without a value." if without else ""
    return Picture(
        "curves",
        f"Learning curves: {records.title}",
        counted(records) + rest,
        tuple(panels),
        min(len(panels), 2),
        records.names,
    )


def progress(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return each trial's value in order of start, and the best so far, for each search.

    Runs of no study are no progress of one, and are left out where there is a search.
    """
    panels = []
    groups = some_groups(records)
    left_out = 0
    for name, rows in groups:
        series = series_of(records, rows)
        searches = [each for each in series if each.is_search]
        left_out += sum(len(each.rows) for each in series if not each.is_search) if searches else 0
        searches = searches or series
        x = pd.Series(
            np.concatenate([np.arange(1, len(each.rows) + 1) for each in searches]),
            index=np.concatenate([each.rows.index for each in searches]),
        )
        marks: list[Lines | Points] = list(by_state(searches, x))
        for each in searches:
            trials = [records.trials[i] for i in each.rows.index]
            values = [trial.value for trial in trials]
            so_far = np.array(
                best_so_far(values, [trial.state for trial in trials], lower=records.lower), float
            )
            line = Line(np.arange(1.0, len(trials) + 1), so_far)
            marks.append(Lines((line,), f"{each.name}, best so far", each.colour, 1.8, steps=True))
        lost = _rows_of(searches)
        lost = lost[lost["value"].isna()]
        known = rows["value"].dropna()
        if len(lost) and len(known):
            marks.append(
                Points(
                    x.loc[lost.index].to_numpy(float),
                    np.full(len(lost), known.max() if records.lower else known.min()),
                    lost.index.to_numpy(np.int64),
                    "no value",
                    FAILED,
                    "cross",
                    5.0,
                )
            )
        best = records.best(_rows_of(searches))
        if best is not None:
            marks.append(star(best, x))
        title = name if len(groups) > 1 else ""
        axis = Axis("trial, in order of start", whole=True)
        panels.append(Panel(axis, value_axis(records, "best "), tuple(marks), title))
    alone = f" {left_out:,} single runs are no trials of a search." if left_out else ""
    return Picture(
        "progress",
        f"Progress of the search: {records.title}",
        counted(records) + alone,
        tuple(panels),
        min(len(panels), 2),
        records.names,
    )


def _rows_of(searches: Sequence[Series]) -> pd.DataFrame:
    """Return the rows of some series."""
    rows: pd.DataFrame = pd.concat([each.rows for each in searches])
    return rows


def _lines(records: Records, rows: pd.DataFrame) -> tuple[Line, ...]:
    found = []
    for place, run_id in zip(rows.index, rows["run_id"], strict=True):
        curve = records.curves.get(run_id)
        if curve is not None and len(curve.epochs):
            found.append(Line(curve.epochs.astype(float), curve.values, int(place)))
    return tuple(found)
