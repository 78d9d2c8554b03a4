"""A saved view of a study in MLflow's pages: all trials, best first, with what was searched.

MLflow's own start shows neither metrics nor settings in the table, and the first ten runs in the
charts. A saved view is a tag of the experiment that the pages list under "Views" and open by link.
Its fields are those of MLflow 3.17's pages; another version that does not know them shows its
usual start.

Its parallel coordinates leave out every run that lacks one of their settings or metrics. So the
chart of all trials has the settings that all trials have, and each group of settings that only
some have is in a chart of its own, see ``docs/decisions/0039-watching.md``.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from hbpr.names import best_name
from hbpr.tracking import tags as tag

_PREFIX: Final = "mlflow.sharedViewState."
#: An experiment's tag holds 20,000 characters; this many columns always fit.
_MOST_COLUMNS: Final = 30
_MOST_GROUPS: Final = 4


def study_view(
    study_id: str,
    name: str,
    monitor: str,
    settings: Sequence[str],
    *,
    created_at: int,
    others: Sequence[str] = (),
    partly: Sequence[Sequence[str]] = (),
) -> tuple[str, str]:
    """Return key and value of the experiment tag that is the view.

    Args:
        study_id: Id of the study; also the view's key in links.
        name: Name in the list of views.
        monitor: Metric that the study maximises.
        settings: Searched settings, under dotted names.
        created_at: Milliseconds since 1970.
        others: Metrics that it looks at besides.
        partly: Of the settings, groups that only some trials have, and have together.
    """
    best, settings = best_name(monitor), list(settings)[:_MOST_COLUMNS]
    metrics = [best, *others]
    shown = [[name for name in group if name in settings] for group in partly]
    groups = [group for group in shown if group][:_MOST_GROUPS]
    conditional = {name for group in partly for name in group}
    everywhere = [name for name in settings if name not in conditional]
    columns = {f"metrics.`{name}`": name for name in (best, monitor, *others)}
    columns = {f"tags.`{tag.STATE}`": tag.STATE} | columns
    columns |= {f"params.`{name}`": name for name in settings}
    state: dict[str, Any] = {
        "searchFilter": f"tags.`{tag.STUDY_ID}` = '{study_id}' and tags.`{tag.KIND}` != 'repeat'",
        "orderByKey": f"metrics.`{best}`",
        "orderByAsc": False,
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": {column: 40 + 7 * len(name) for column, name in columns.items()},
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            _section("all", "All trials", columns=2),
            *(_section(f"some-{i}", _title(g)) for i, g in enumerate(groups)),
            _section("val", "val"),
        ],
        "compareRunCharts": [
            _chart("curves", "LINE", metricKey=monitor, displayName=monitor),
            _chart("best", "BAR", metricKey=best, displayName=best, runsCountToCompare=100),
            _parallel("settings", "all", everywhere, metrics),
            *(
                _parallel(f"settings-{i}", f"some-{i}", [*everywhere, *group], metrics)
                for i, group in enumerate(groups)
            ),
        ],
    }
    view = {
        "name": name,
        "createdAt": created_at,
        "updatedAt": created_at,
        "state": json.dumps(state),
    }
    return _PREFIX + study_id, json.dumps(view)


def view_path(experiment_id: str, study_id: str, *, charts: bool = False) -> str:
    """Return what follows the address of MLflow's pages to open a study's view.

    Example:
        >>> view_path("1", "s1")
        '/#/experiments/1/runs?viewStateShareKey=s1&workflowType=machine_learning'
    """
    mode = "&compareRunsMode=CHART" if charts else ""
    return (
        f"/#/experiments/{experiment_id}/runs"
        f"?viewStateShareKey={study_id}&workflowType=machine_learning{mode}"
    )


def _title(settings: Sequence[str]) -> str:
    more = f" and {len(settings) - 3} more" if len(settings) > 3 else ""
    return f"Trials with {', '.join(settings[:3])}{more}"


def _section(key: str, name: str, columns: int = 1) -> dict[str, Any]:
    section = {"uuid": f"hbpr-{key}", "name": name, "display": True, "isReordered": False}
    return section if key == "val" else section | {"columns": columns, "cardHeight": 420}


def _parallel(key: str, section: str, params: Sequence[str], metrics: Sequence[str]) -> Any:
    return _chart(
        key,
        "PARALLEL",
        metricSectionId=f"hbpr-{section}",
        selectedParams=list(params),
        selectedMetrics=list(metrics),
        showAllRuns=True,
    )


def _chart(key: str, kind: str, **fields: Any) -> dict[str, Any]:
    if kind == "LINE":
        fields = {
            "selectedMetricKeys": [fields["metricKey"]],
            "lineSmoothness": 0,
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "range": {},
            "xAxisKey": "step",
            "selectedXAxisMetricKey": "",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "ignoreOutliers": False,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        } | fields
    return {
        "uuid": f"hbpr-{key}",
        "type": kind,
        "runsCountToCompare": 10,
        "metricSectionId": "hbpr-all",
        "deleted": False,
        "isGenerated": False,
    } | fields
