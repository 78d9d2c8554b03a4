"""The summary page of a study as one HTML file that needs nothing beside it."""

import math
from collections import Counter
from dataclasses import replace
from typing import Final

import pandas as pd

from dashboards import words
from dashboards.charts import bars, front_chart, progress_chart
from dashboards.html import render
from dashboards.records import tabulate
from hbpr.tracking.records import StudyRecord, TrialRecord

#: Trials in the table; a page of all of a large study would be slow to open.
_MOST_ROWS: Final = 200


def study_page(record: StudyRecord) -> str:
    """Return the page of a study as HTML."""
    heads = words.metric_heads(record)
    groups = Counter(part for part, _ in heads)
    table = _table(record)
    return render(
        "study.html",
        record=record,
        words=words,
        metric_heads=heads,
        groups=list(groups.items()),
        starts=[heads.index((part, "winner")) + 1 for part in groups],
        front=front_chart(record) if record.front else None,
        importance=[(each, bars(each)) for each in record.findings.importance],
        progress=progress_chart([(trial.number, trial) for trial in record.trials]),
        heads=list(table),
        rows=[[_cell(value) for value in row] for row in table.itertuples(index=False, name=None)],
        n_left_out=len(record.trials) - len(table),
    )


def _table(record: StudyRecord) -> pd.DataFrame:
    """Return the best trials as they are in tables of experiments, without empty columns."""

    def best_first(trial: TrialRecord) -> tuple[bool, float]:
        known = trial.value is not None and not math.isnan(trial.value)
        return not known, -(trial.value or 0.0) if known else 0.0

    best = tuple(sorted(record.trials, key=best_first)[:_MOST_ROWS])
    if not best:
        return pd.DataFrame()
    shown = replace(record, trials=best)
    table = tabulate([shown]).summary()
    table = table.drop(columns="run_id").dropna(axis="columns", how="all")
    table["state"] = table["state"].replace(words.RUN_STATES["PRUNED"], words.STATES["PRUNED"])
    return table


def _cell(value: object) -> str:
    if not isinstance(value, str) and pd.isna(value):  # type: ignore[call-overload]
        return "–"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
