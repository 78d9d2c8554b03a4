"""The summary page of a study as one HTML file that needs nothing beside it."""

from collections import Counter
from typing import Final

from dashboards import words
from dashboards.charts import bars, front_chart, progress_chart
from dashboards.html import render
from dashboards.records import as_cells, tabulate
from hbpr.tracking.records import StudyRecord

#: Trials in the table; a page of all of a large study would be slow to open.
_MOST_ROWS: Final = 200


def study_page(record: StudyRecord) -> str:
    """Return the page of a study as HTML."""
    heads = words.metric_heads(record)
    groups = Counter(part for part, _ in heads)
    table = tabulate(record.identity.experiment, record.metric, [record]).summary()
    table = table.drop(columns="run_id").dropna(axis="columns", how="all")
    table["state"] = table["state"].replace("stopped", words.STATES["PRUNED"])
    shown = table.head(_MOST_ROWS)
    return render(
        "study.html",
        record=record,
        words=words,
        metric_heads=heads,
        groups=list(groups.items()),
        starts=[heads.index((part, "winner")) + 1 for part in groups],
        front=front_chart(record) if record.front else None,
        importance=[(each, bars(shares)) for each, shares in record.findings.importance.items()],
        progress=progress_chart([(trial.number, trial) for trial in record.trials]),
        heads=list(shown),
        rows=as_cells(shown),
        n_left_out=len(table) - len(shown),
    )
