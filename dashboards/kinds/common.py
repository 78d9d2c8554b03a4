"""What pictures of several kinds share: series, names of runs, and how many runs there are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dashboards.groups import groups_line
from dashboards.marks import BEST, SERIES, STOPPED, Axis, Ints, Points
from dashboards.records import ALONE, Records
from dashboards.words import metric_label

#: Groups of data that one picture has panels for.
MOST_GROUPS = 6


class Series(NamedTuple):
    """Runs that are of one study, or single ones, with their name and colour; `rows` of `runs`."""

    name: str
    colour: str
    rows: pd.DataFrame
    is_search: bool


def series_of(records: Records, rows: pd.DataFrame) -> list[Series]:
    """Return the studies, and the single runs, among some rows; one colour each in all panels."""
    found = []
    for number, (experiment, study) in enumerate(_studies(records)):
        part = rows[(rows["experiment"] == experiment) & (rows["study"] == study)]
        if len(part):
            name = series_name(records, experiment, study)
            found.append(Series(name, SERIES[number % len(SERIES)], part, study != ALONE))
    return found


def series_name(records: Records, experiment: str, study: str) -> str:
    """Return what a study is called: with its experiment, or by it, where there are several."""
    keys = _studies(records)
    if len({each for each, _ in keys}) == 1:
        return study
    alone = sum(other == experiment for other, _ in keys) == 1
    return experiment if alone else f"{experiment}: {study}"


def _studies(records: Records) -> list[tuple[str, str]]:
    runs = records.runs
    return list(dict.fromkeys(zip(runs["experiment"], runs["study"], strict=True)))


def some_groups(records: Records) -> list[tuple[str, pd.DataFrame]]:
    """Return the groups of runs that compare; a picture has a panel for each."""
    return list(records.groups.items())[:MOST_GROUPS]


def counted(records: Records, rows: pd.DataFrame | None = None) -> str:
    """Return how many runs there are in what states, and in all which do not compare."""
    some = records.runs if rows is None else rows
    states = ", ".join(f"{n:,} {state}" for state, n in some["state"].value_counts().items())
    text = f"{len(some):,} run{'s' if len(some) != 1 else ''} ({states})"
    if rows is not None:
        return f"{text}."
    groups = groups_line({name: len(part) for name, part in records.groups.items()})
    text += f"; {groups}" if groups else ""
    left_out = len(records.groups) - MOST_GROUPS
    return f"{text}; {left_out} groups are not drawn." if left_out > 0 else f"{text}."


def only_largest(records: Records) -> tuple[pd.DataFrame, str]:
    """Return the rows of the largest group, and a sentence on what that leaves out."""
    (name, rows), *others = records.groups.items()
    if not others:
        return rows, ""
    return (
        rows,
        f" Drawn: {name}; other data do not compare: {', '.join(each for each, _ in others)}.",
    )


def value_axis(records: Records, prefix: str = "") -> Axis:
    """Return the upward axis of values."""
    better = ", lower is better" if records.lower else ""
    return Axis(f"{prefix}{metric_label(records.metric)}{better}")


def rows_as_ints(rows: pd.DataFrame) -> Ints:
    """Return the places of rows in the table of all runs."""
    return rows.index.to_numpy(np.int64)


def by_state(series: Sequence[Series], x: pd.Series) -> list[Points]:
    """Return points of runs that have a value: finished ones by series, others in grey.

    Args:
        series: The runs.
        x: Where each is, by its row.
    """
    found: list[Points] = []
    for done in (False, True):
        for each in series:
            rows = each.rows[each.rows["value"].notna()]
            rows = rows[(rows["state"] == "finished") == done]
            if not len(rows):
                continue
            name = each.name if done else "stopped, failed or running"
            found.append(
                Points(
                    x.loc[rows.index].to_numpy(float),
                    rows["value"].to_numpy(float),
                    rows_as_ints(rows),
                    f"{name}, finished" if done else name,
                    each.colour if done else STOPPED,
                    "dot" if done else "square",
                    5.5 if done else 4.0,
                    0.85 if done else 0.5,
                )
            )
    return found


def star(row: pd.Series, x: pd.Series | float) -> Points:
    """Return the mark of the best run, at a place or where a series of all runs has it."""
    return Points(
        np.array([float(x.to_dict()[row.name]) if isinstance(x, pd.Series) else x]),
        np.array([row["value"]], float),
        np.array([row.name], np.int64),
        "best",
        BEST,
        "star",
        12.0,
        1.0,
    )
