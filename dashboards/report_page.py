"""One page of several experiments as one HTML file: answer, runs, linked plots, data and cost.

The page needs nothing beside it: plotly's bundle, the look and the data are inside. Plots draw a
part of the runs where there are many; the table has all of them.
"""

import json
import math
import shlex
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboards import words
from dashboards.answer import answers, notes, verdicts
from dashboards.groups import groups_line
from dashboards.html import render
from dashboards.kinds import KINDS
from dashboards.pages import describe
from dashboards.records import Records
from dashboards.words import metric_label, winner_title
from hbpr.errors import ConfigError
from hbpr.tracking.records import StudyRecord
from hbpr.tracking.store import mask_uri

TEMPLATE: Final = "report.html"
#: A picture as the page takes it; or why there is none.
Drawing = dict[str, Any] | str
#: Lines, and points of a kind, that a plot of the page draws at most.
_MOST_MARKS: Final = 400
#: Significant digits of what plots draw; the table has all digits.
_DIGITS: Final = 6


def report_page(
    records: Records,
    tracking_uri: str,
    *,
    metric: str | None = None,
    study: str | None = None,
    drawn: Mapping[str, Drawing] = MappingProxyType({}),
) -> str:
    """Return the page as HTML.

    Args:
        records: The runs, with curves and seconds.
        tracking_uri: Where they are recorded.
        metric: The metric that was asked for; None: the studies' own.
        study: The study that was asked for; None: all.
        drawn: Drawings of these runs by kind, as `draw` returns them; others are drawn now.
    """
    drawings = {name: drawn.get(name) or draw(records, name) for name in KINDS}
    pictures = [each for each in drawings.values() if not isinstance(each, str)]
    return render(
        TEMPLATE,
        title=records.title,
        alone=_alone(records),
        verdicts=verdicts(records),
        notes=notes(records),
        answers=answers(records),
        groups=_groups(records),
        metric=metric_label(records.metric),
        n_runs=len(records.runs),
        pictures=[
            {key: each[key] for key in ("id", "title", "caption", "wide")} for each in pictures
        ],
        left_out=[each for each in drawings.values() if isinstance(each, str)],
        winners=[(_winner_title(records, each), each) for each in records.studies if each.winner],
        words=words,
        exams=_exam_rows(records),
        costs=_cost_rows(records),
        versions=_version_rows(records),
        commands=_commands(records, tracking_uri, metric, study),
        content=_as_script(
            {
                **_table(records),
                "names": records.names,
                "pictures": {each["id"]: each["figure"] for each in pictures},
            }
        ),
        plotly=plotly_bundle(),
    )


def _alone(records: Records) -> StudyRecord | None:
    """Return the study that the page is about; None where it is about several, or single runs."""
    study, *others = records.studies
    return None if others or not study.identity.study_id else study


@cache
def plotly_bundle() -> str:
    """Return plotly's script, as its package brings it, without importing the rest of it."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")


def _groups(records: Records) -> str:
    return groups_line({name: len(rows) for name, rows in records.groups.items()})


def draw(records: Records, name: str) -> Drawing:
    """Return one kind of picture as the page takes it, or why it is not drawn."""
    if not len(records.runs):
        return f"{name}: there are no runs"
    groups = _groups(records)
    try:
        picture = KINDS[name](records, ()).thinned(_MOST_MARKS)
    except ConfigError as error:
        return f"{name}: {error}"
    # The page says once what it is about, and which runs do not compare.
    title = picture.title.removesuffix(f": {records.title}")
    caption = picture.caption.replace(f"; {groups}", "") if groups else picture.caption
    figure = describe(picture, texts=False)
    wide = len(picture.panels) > 1 or name == "parallel"
    return {"id": name, "title": title, "caption": caption, "figure": figure, "wide": wide}


def _table(records: Records) -> dict[str, Any]:
    """Return the columns, and for each run its row in `Records.runs`, then its cells."""
    table = records.summary()
    table.insert(0, "rank", table.index)
    place = {run_id: i for i, run_id in enumerate(records.runs["run_id"])}
    rows = [
        [place[run_id], *map(_plain, values)]
        for run_id, values in zip(
            table["run_id"], table.itertuples(index=False, name=None), strict=True
        )
    ]
    return {"columns": [{"name": name} for name in table], "rows": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return value.item() if isinstance(value, np.generic) else value


def _winner_title(records: Records, study: StudyRecord) -> str:
    assert study.winner is not None
    title = winner_title(study.winner)
    if len(records.studies) == 1:
        return title
    return f"{study.identity.experiment}, {study.identity.name}: {title.lower()}"


def _exam_rows(records: Records) -> list[tuple[str, ...]]:
    def number(value: int | None) -> str:
        return "not recorded" if value is None else f"{value:,}"

    return [
        (
            name,
            exam.split or "not recorded",
            number(exam.n_users),
            number(exam.n_items),
            exam.key[:12] if not exam.key.startswith("?") else "not recorded",
            f"{len(records.groups[name]):,}",
        )
        for name, exam in records.exams.items()
    ]


def _cost_rows(records: Records) -> list[tuple[str, ...]]:
    """Return for each study its runs, their states, CPU seconds and node hours."""
    rows: list[tuple[str, ...]] = []
    for (experiment, study), part in records.runs.groupby(["experiment", "study"], sort=False):
        spent = part["run_id"].map(records.seconds)
        resources = records.owners[part.index[0]].settings.get("sweep", {}).get("resources", {})
        cpus = resources.get("cpu", 1) if isinstance(resources, Mapping) else 1
        states = ", ".join(f"{n:,} {state}" for state, n in part["state"].value_counts().items())
        cpu_s = f"{spent.sum() * cpus:,.0f}" if spent.notna().any() else "not recorded"
        hours = f"{node_hours(part):.2f}"
        rows.append((str(experiment), str(study), f"{len(part):,}", states, cpu_s, hours))
    return rows


def node_hours(runs: pd.DataFrame) -> float:
    """Return for how long nodes were busy with some runs, together; several at once count once.

    Example:
        >>> started = pd.to_datetime([0, 1800, 0], unit="s")
        >>> table = {"node": ["a", "a", "b"], "started": started, "duration_s": [3600.0] * 3}
        >>> node_hours(pd.DataFrame(table))
        2.5
    """
    total = 0.0
    for _, part in runs.groupby("node"):
        began = (part["started"] - pd.Timestamp(0)).dt.total_seconds().to_numpy(float)
        spans = np.column_stack([began, began + part["duration_s"].fillna(0.0).to_numpy(float)])
        spans = spans[np.isfinite(spans).all(axis=1)]
        spans = spans[spans[:, 0].argsort()]
        until = np.maximum.accumulate(spans[:, 1]) if len(spans) else spans[:, 1]
        free_until = np.concatenate([[-np.inf], until[:-1]])
        total += float(np.maximum(spans[:, 1] - np.maximum(spans[:, 0], free_until), 0.0).sum())
    return total / 3600


def _version_rows(records: Records) -> list[tuple[str, str, str]]:
    return [
        (
            study.identity.experiment,
            study.identity.name,
            ", ".join(f"{name} {version}" for name, version in study.origin.versions.items()),
        )
        for study in records.studies
        if study.origin.versions
    ]


def _commands(
    records: Records, tracking_uri: str, metric: str | None, study: str | None
) -> list[tuple[str, str]]:
    """Return what to type, as it stands, and what it does."""
    asked = {"--metric": metric, "--study": study, "--tracking-uri": _from_anywhere(tracking_uri)}
    options = [each for name, value in asked.items() if value for each in (name, value)]
    page = ["report", *records.experiments, "-o", "report.html", *options]
    figure = ["plot", "curves", *records.experiments, "-o", "curves.pdf", *options]
    found = [("write this page anew", page), ("one figure", figure)]
    for each in records.studies:
        if not each.identity.study_id or each.identity.folder is None:
            continue
        name, folder = each.identity.study_id, each.identity.folder
        resume = ["study", "resume", folder]
        if each.winner is None:
            found.append((f"go on with {name}", resume))
        else:
            more = f"sweep.num_trials={2 * len(each.trials)}"
            found += [
                (f"more trials of {name}", [*resume, "--set", more]),
                (
                    f"everyone's lists by the winner of {name}",
                    ["recommend", folder, "-k", "20", "-o", "lists.parquet"],
                ),
                (f"serve the winner of {name}", ["serve", folder]),
            ]
    return [(what, shlex.join(["hbpr", *arguments])) for what, arguments in found]


def _from_anywhere(tracking_uri: str) -> str:
    """Return where MLflow is, as it holds in any folder, without its password."""
    head, file = "sqlite:///", tracking_uri.removeprefix("sqlite:///")
    if tracking_uri.startswith(head) and file and not file.startswith((":", "file:")):
        return f"{head}{Path(file).absolute()}"
    return mask_uri(tracking_uri)


def _as_script(content: dict[str, Any]) -> str:
    """Return JSON that cannot end the script that it stands in."""
    text = json.dumps(_numbers(content), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _numbers(value: Any) -> Any:
    """Return arrays as lists of short numbers, and what is no number as null."""
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            return [_numbers(row) for row in value]
        if value.dtype.kind in "iu":
            return value.tolist()
        return [
            None if not math.isfinite(each) else float(f"{each:.{_DIGITS}g}")
            for each in value.tolist()
        ]
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
