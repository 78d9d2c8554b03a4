"""What a notebook shows of a study: a part of its page, with a look of its own."""

from pathlib import Path
from typing import Final

from dashboards import words
from dashboards.charts import progress_chart
from dashboards.html import render
from hbpr.formats import as_words
from hbpr.tracking.records import StudyRecord

#: The best trials that are shown; all are on the page.
_MOST_ROWS: Final = 5


def study_card(record: StudyRecord, *, page: Path | None = None) -> str:
    """Return a study as HTML that can stand among other HTML.

    Args:
        record: The study's, whether it has come to its result or not.
        page: Its page, to name where all is.
    """
    ranked = sorted(
        (trial for trial in record.trials if trial.value is not None),
        key=lambda trial: (-(trial.value or 0.0), trial.number),
    )
    rows = [
        (
            str(trial.number),
            f"{trial.value:.4f}",
            words.STATES.get(trial.state, trial.state.lower()),
            as_words(trial.values),
        )
        for trial in ranked[:_MOST_ROWS]
    ]
    return render(
        "notebook.html",
        record=record,
        words=words,
        progress=progress_chart([(trial.number, trial) for trial in record.trials]),
        heads=("trial", record.metric, "state", "settings"),
        rows=rows,
        page=page,
    )
