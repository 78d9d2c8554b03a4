"""What a study's records say: one event for each thing that happens.

An event is a mapping of JSON values with ``event`` (start, result, tag, end, repeat or final) and
``at`` (milliseconds since 1970). Where it is not about the study, it has ``trial``, or
``repeat_of`` and ``seed``. What else it carries, `tune.tracking.delivery` writes to the run as
it stands: ``params``, ``tags``, ``metrics`` at ``step`` or a ``curve`` of both, ``texts``,
``files``, ``model``, ``status``.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hbpr.names import baseline_name, best_name
from hbpr.settings.load import dotted
from hbpr.settings.stored import FORMAT
from hbpr.tracking import tags as tag
from hbpr.tracking.findings import BaselineRecord, Winner
from hbpr.tracking.records import Parent
from hbpr.tracking.run_log import as_text
from hbpr.tracking.store import mask_uri
from tune.space.dimensions import partly_written, written_settings
from tune.storage.names import SETTINGS
from tune.tracking.outbox import Event
from tune.tracking.runs import STATE_OF, Status
from tune.tracking.view import study_view

if TYPE_CHECKING:
    from tune.storage.repeat import Repeat

#: The program that MLflow's table names beside a run.
_SOURCE: Final = {tag.SOURCE: "hbpr tune"}


def study_start(
    study_id: str,
    *,
    folder: str,
    name: str,
    experiment_name: str,
    tracking_uri: str,
    settings: Mapping[str, Any],
    metrics: Sequence[str],
) -> Event:
    """Return the event of a study that begins, or goes on: its settings and its view in MLflow.

    Args:
        study_id: Tag of all its runs.
        folder: Its folder, absolute.
        name: Name of its own run.
        experiment_name: MLflow experiment.
        tracking_uri: Where it is recorded; the password is left out.
        settings: All of its settings, as plain data.
        metrics: What it looks at, the metric that it maximises first.
    """
    settings = without_passwords(settings)
    monitor, *others = metrics
    view = study_view(
        study_id,
        name,
        monitor,
        written_settings(settings.get("sweep", {}).get("space", {})),
        created_at=int(time.time() * 1000),
        others=others,
        partly=partly_written(settings.get("sweep", {}).get("space", {})),
    )
    return {
        "event": "start",
        "name": name,
        "study": {
            "study_id": study_id,
            "experiment_name": experiment_name,
            "tracking_uri": mask_uri(tracking_uri),
        },
        "tags": {
            tag.STUDY: name,
            tag.FOLDER: folder,
            tag.MONITOR: monitor,
            tag.SETTINGS: as_text(settings),
            tag.SETTINGS_FORMAT: str(FORMAT),
            **_SOURCE,
        },
        "texts": {SETTINGS: json.dumps(settings, indent=2, default=str)},
        "view": view,
    }


def trial_start(
    number: int, values: Mapping[str, Any], study_name: str, parent: Parent | None
) -> Event:
    """Return the event of a trial that begins, or goes on: its settings and where it comes from."""
    tags = {tag.STUDY: study_name, **_SOURCE}
    if parent is not None:
        tags |= {
            tag.PARENT: str(parent.trial),
            tag.PARENT_EPOCH: str(parent.epoch),
            tag.REPLACES: str(parent.replaces),
        }
    tags[tag.STATE] = STATE_OF["RUNNING"]
    return {
        "event": "start",
        "trial": number,
        "name": f"trial-{number:03d}",
        "params": {key: as_text(value) for key, value in dotted(values).items()},
        "tags": tags,
    }


def trial_end(
    number: int, status: Status, error: str | None = None, node: str | None = None
) -> Event:
    """Return the event of a trial that ended: on which machine, and why if it failed."""
    tags = {tag.STATE: STATE_OF[status]} | ({tag.NODE: node} if node else {})
    tags |= {tag.ERROR: as_text(error, 500)} if error else {}
    return {"event": "end", "trial": number, "status": status, "tags": tags}


def repeat_run(
    number: int, repeat: "Repeat", values: Mapping[str, Any], study_name: str, monitor: str
) -> Event:
    """Return the one event of a finalist's run with another seed, its curve and end included.

    Args:
        number: Number of the trial.
        repeat: The trial run again.
        values: The trial's settings.
        study_name: Name of the study's run.
        monitor: Metric that the study maximises; its best value so far is recorded beside it.
    """
    best, curve = -math.inf, []
    for epoch, metrics in sorted(repeat.curve.items()):
        point = finite(metrics)
        if point.get(monitor, -math.inf) > best:
            best = point[best_name(monitor)] = point[monitor]
        curve.append([epoch, point])
    params = dotted({**values, "training.seed": repeat.seed})
    return {
        "event": "repeat",
        "repeat_of": number,
        "seed": repeat.seed,
        "name": f"repeat-{number:03d}-seed-{repeat.seed}",
        "params": {key: as_text(value) for key, value in params.items()},
        "tags": {tag.STUDY: study_name, **_SOURCE},
        "curve": curve,
        "status": "FINISHED",
        "began_at": repeat.began_at,
        "at": repeat.ended_at,
    }


def study_answer(
    winner: Winner,
    baselines: Sequence[BaselineRecord],
    monitor: str,
    *,
    tags: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> Event:
    """Return the event of a study that came to its answer.

    Args:
        winner: The answer.
        baselines: What stands beside it; popularity's test metrics are logged as ``baseline/…``,
            another's under its name.
        monitor: Metric that the study maximises.
        tags: More tags of the study's run.
        metrics: More metrics.
    """
    beside = {
        baseline_name(name, each.name): value
        for each in baselines
        for name, value in finite(each.test).items()
    }
    return {
        "event": "final",
        "metrics": finite(winner.test) | finite(metrics) | beside,
        "tags": {
            tag.BEST_TRIAL: str(winner.number),
            tag.BEST_VALUE: f"{winner.value:.6g}",
            tag.BEST_VALUES: as_text(dict(winner.values)),
        }
        | dict(tags),
    }


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are finite numbers."""
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}


def without_passwords(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's settings without the password of the tracking server."""
    plain = dict(settings)
    if isinstance(plain.get("mlflow"), Mapping):
        uri = mask_uri(str(plain["mlflow"].get("tracking_uri", "")))
        plain["mlflow"] = dict(plain["mlflow"]) | {"tracking_uri": uri}
    return plain


def trial_faults(number: int, restarts: int, hangs: int) -> Event:
    """Return the event of a fault of a trial's process: how many it has had by now.

    Args:
        number: Number of the trial.
        restarts: Crashes that were made good, one after a hang included.
        hangs: Times that it hung and was killed.
    """
    return {
        "event": "tag",
        "trial": number,
        "tags": {tag.RESTARTS: str(restarts), tag.HANGS: str(hangs)},
    }
