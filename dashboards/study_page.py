"""The page of one study: the page of experiments, made from the study's own record."""

from collections.abc import Mapping

from dashboards.html import load_template
from dashboards.kinds import KINDS
from dashboards.records import tabulate
from dashboards.report_page import TEMPLATE, Drawing, draw, plotly_bundle, report_page
from hbpr.tracking.records import StudyRecord

#: Drawings by kind.
Drawn = Mapping[str, Drawing]


def study_page(record: StudyRecord, drawn: Drawn | None = None) -> str:
    """Return the page of a study as HTML that needs nothing beside it; MLflow is not asked.

    Args:
        record: The study, whether it has come to its answer or not.
        drawn: What `draw_search` returned for these trials; what is missing is drawn now.
    """
    identity = record.identity
    return report_page(
        tabulate([record]),
        record.tracking.uri,
        study=identity.study_id or None,
        drawn=drawn or {},
    )


def draw_search(record: StudyRecord) -> Drawn:
    """Return the plots that show trials alone, and get ready what else the page takes."""
    records = tabulate([record])
    plotly_bundle()
    load_template(TEMPLATE)
    return {name: draw(records, name) for name, kind in KINDS.items() if not kind.answer}
