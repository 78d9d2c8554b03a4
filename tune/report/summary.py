"""The summary of a study in its folder: as JSON, as a page and as text, all from one record."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dashboards.study_page import Drawn, study_page
from hbpr.errors import StudyFolderError
from hbpr.files import write_text as write_file
from hbpr.tracking.findings import (
    BaselineRecord,
    Comparison,
    Finalist,
    Findings,
    RankCorrelation,
    Stage,
    Winner,
)
from hbpr.tracking.records import Identity, Origin, StudyRecord, Times, Tracking
from hbpr.tracking.records_json import as_text, from_json
from hbpr.tracking.registry import Registered
from tune.report.terminal import write_text
from tune.settings import plan_of_started
from tune.storage.folder import StudyFolder, read_settings
from tune.storage.names import SUMMARY, SUMMARY_TEXT
from tune.storage.trials import read_journal

_log = logging.getLogger(__name__)


def write_page(record: StudyRecord, path: Path, drawn: Drawn | None = None) -> bool:
    """Write the page of a study.

    Args:
        record: The study's.
        path: The file.
        drawn: Plots that were drawn ahead.

    Returns:
        False where it could not be drawn, which is logged: it must not cost the answer.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        page = study_page(record, drawn)
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is worth more
        _log.warning(
            "the page of study %s could not be drawn (%s: %s); %s and %s have the answer",
            record.identity.study_id,
            type(error).__name__,
            error,
            SUMMARY,
            SUMMARY_TEXT,
            exc_info=error,
        )
        path.unlink(missing_ok=True)  # one of an earlier sitting would say what holds no more
        return False
    write_file(path, page)
    return True


def write_summary(record: StudyRecord, folder: StudyFolder) -> None:
    """Write the summary as text and JSON; the JSON, which says that the study has ended, last."""
    write_text(record, folder.text)
    write_file(folder.summary, as_text(record))


def read_summary(folder: StudyFolder) -> StudyRecord:
    """Read what `write_summary` wrote, or an earlier version did.

    Raises:
        StudyFolderError: It cannot be read.
    """
    try:
        content = json.loads(folder.summary.read_text(encoding="utf-8"))
        return from_json(content) if "format" in content else _of_format_1(content, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyFolderError(
            f"{folder.summary}: the summary cannot be read; another version of hbpr wrote it, or "
            f"it was changed: {error}"
        ) from error


def headline(folder: StudyFolder) -> tuple[int, float]:
    """Return how many trials a study that has ended has, and the value of its winner.

    Raises:
        StudyFolderError: Its summary cannot be read.
    """
    try:
        content = json.loads(folder.summary.read_text(encoding="utf-8"))
        if "format" in content:
            return len(content["trials"]), float(content["winner"]["value"])
        return sum(content["states"].values()), float(content["best"]["value"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyFolderError(f"{folder.summary}: the summary cannot be read: {error}") from error


def records_arrived(folder: StudyFolder) -> None:
    """Say on the summary of a study that MLflow has got what was still to be sent."""
    if not folder.summary.exists():
        return
    record = read_summary(folder)
    if record.tracking.arrival == "partial":
        arrived = replace(record.tracking, arrival="later")
        record = replace(record, tracking=arrived)
        write_page(record, folder.page)
        write_summary(record, folder)


def _of_format_1(content: Mapping[str, Any], folder: StudyFolder) -> StudyRecord:
    """Return the record of a summary from before it had a format number.

    Its trials are in the journal, its settings beside it.
    """
    settings, data = read_settings(folder.path)
    plan = plan_of_started(settings)
    best, registered = content["best"], content["registered"]
    # What MLflow had not got was a sentence among the notes.
    about_mlflow = [note for note in content["notes"] if note.startswith("MLflow did not ")]
    away = re.search(r"answer for (\d+) s", "".join(about_mlflow))
    waits = any("is sent by: hbpr study sync" in note for note in about_mlflow)
    later = any(note.endswith("arrived since") for note in about_mlflow)
    baselines = [
        ("popularity", "popularity", content["baseline_metrics"]),
        ("ease", "EASE", content["ease_metrics"]),
    ]
    return StudyRecord(
        identity=Identity(
            content["study_id"],
            f"study {content['study_id']}",
            content["experiment"],
            content["folder"],
            content["model_folder"],
        ),
        tracking=Tracking(
            content["tracking_uri"],
            content["run_id"],
            content["view"],
            float(away[1]) if away else 0.0,
            "partial" if waits else "later" if later else "complete",
        ),
        goals=plan.goals,
        trials=tuple(read_journal(folder.path, plan.space)),
        settings=settings.model_dump(mode="json"),
        winner=Winner(
            best["number"],
            best["values"],
            content["validation_metrics"].get(content["metric"], best["value"]),
            content["epochs"] or best["best_epoch"],
            content["validation_metrics"],
            content["test_metrics"],
            tuple(Stage(**stage) for stage in content["stages"]),
            Registered(**registered) if registered else None,
        ),
        baselines=tuple(
            BaselineRecord(name, label, *_by_part(metrics))
            for name, label, metrics in baselines
            if metrics
        ),
        findings=Findings(
            tuple(
                Finalist(**each | {"values": tuple(each["values"])})
                for each in content["finalists"]
            ),
            tuple(Comparison(**each) for each in content["comparisons"]),
            (),  # shares that misled where few trials won
            tuple(RankCorrelation(**each) for each in content["early"]),
            tuple(trial["number"] for trial in content["front"]),
        ),
        times=Times(*(content[key] for key in ("wall_s", "search_s", "busy_cpu_s", "cpus"))),
        origin=Origin(data),
        ended=content["ended"],
        notes=tuple(note for note in content["notes"] if note not in about_mlflow),
    )


def _by_part(metrics: Mapping[str, float]) -> list[dict[str, float]]:
    """Return the validation metrics and the test metrics."""
    return [
        {name: value for name, value in metrics.items() if name.startswith(part)}
        for part in ("val/", "test/")
    ]
