"""What a study's records say: one event for each thing that happens, and what follows from them.

An event is a mapping of JSON values with ``event`` (start, result, tag, end, repeat or final) and
``at`` (milliseconds since 1970). Where it is not about the study, it has ``trial``, or
``repeat_of`` and ``seed``. What else it carries, `tune.tracking.delivery` writes to the run as
it stands: ``params``, ``tags``, ``metrics`` at ``step`` or a ``curve`` of both, ``texts``,
``files``, ``model``, ``status``.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hbpr.names import best_name
from hbpr.settings.load import dotted
from hbpr.settings.stored import FORMAT, FORMAT_KEY
from hbpr.tracking.records import Parent
from hbpr.tracking.run_log import as_text
from hbpr.tracking.store import mask_uri
from tune.space.dimensions import written_settings
from tune.tracking.outbox import Event
from tune.tracking.runs import Place, Status, place_of_event
from tune.tracking.view import study_view

if TYPE_CHECKING:
    from tune.storage.repeat import Repeat

#: The program that MLflow's table names beside a run.
_SOURCE: Final = {"mlflow.source.name": "hbpr tune"}


def study_start(
    study_id: str,
    *,
    name: str,
    experiment_name: str,
    tracking_uri: str,
    settings: Mapping[str, Any],
    metrics: Sequence[str],
) -> Event:
    """Return the event of a study that begins, or goes on: its settings and its view in MLflow.

    Args:
        study_id: Tag of all its runs.
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
            "hbpr.study": name,
            "hbpr.monitor": monitor,
            "hbpr.settings": as_text(settings),
            f"hbpr.{FORMAT_KEY}": str(FORMAT),
            **_SOURCE,
        },
        "texts": {"settings.json": json.dumps(settings, indent=2, default=str)},
        "view": view,
    }


def trial_start(
    number: int, values: Mapping[str, Any], study_name: str, parent: Parent | None
) -> Event:
    """Return the event of a trial that begins, or goes on: its settings and where it comes from."""
    tags = {"hbpr.study": study_name, **_SOURCE}
    if parent is not None:
        tags |= {
            "hbpr.parent": str(parent.trial),
            "hbpr.parent_epoch": str(parent.epoch),
            "hbpr.replaces": str(parent.replaces),
        }
    return {
        "event": "start",
        "trial": number,
        "name": f"trial-{number:03d}",
        "params": {key: as_text(value) for key, value in dotted(values).items()},
        "tags": tags,
    }


def trial_end(number: int, status: Status, error: str | None = None) -> Event:
    """Return the event of a trial that ended, with the reason where it failed."""
    event: Event = {"event": "end", "trial": number, "status": status}
    return event | {"tags": {"hbpr.error": as_text(error, 500)}} if error else event


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
        "tags": {"hbpr.study": study_name, **_SOURCE},
        "curve": curve,
        "status": "FINISHED",
        "began_at": repeat.began_at,
        "at": repeat.ended_at,
    }


def winner_note(
    monitor: str,
    best_trial: int,
    best_value: float,
    values: Mapping[str, Any],
    test: Mapping[str, float],
    baseline: Mapping[str, float],
) -> str:
    """Return the description of a study's run, in Markdown: the winner beside popularity."""
    lines = [f"**Best: trial {best_trial}**, {monitor} = {best_value:.4f}", ""]
    lines += [f"- `{key}`: {as_text(value)}" for key, value in dotted(values).items()]
    if test:
        lines += ["", "| | winner | popularity |", "|---|---:|---:|"]
        for name, value in test.items():
            other = baseline.get(name)
            lines.append(f"| {name} | {value:.4f} | {'' if other is None else f'{other:.4f}'} |")
    return "\n".join(lines)


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
        "tags": {"hbpr.restarts": str(restarts), "hbpr.hangs": str(hangs)},
    }


class History:
    """What the events so far say of each trial and of the study's end.

    Args:
        monitor: Metric that the study maximises.

    Attributes:
        started: Numbers of the trials that have a run.
        ended: Those whose run is closed.
        errors: Why trials failed, by number.
        restarts: By trial: crashes of its process that were made good.
        hangs: By trial: times that its process hung and was killed.
    """

    def __init__(self, monitor: str) -> None:
        self.started: set[int] = set()
        self.ended: set[int] = set()
        self.errors: dict[int, str] = {}
        self.restarts: Counter[int] = Counter()
        self.hangs: Counter[int] = Counter()
        self._best_name = best_name(monitor)
        self._best: dict[int, float] = {}
        self._last_step: dict[int, int] = {}
        self._final: Event | None = None
        self._repeats: dict[Place, Event] = {}

    @property
    def open(self) -> list[int]:
        """Trials whose run is open, by number."""
        return sorted(self.started - self.ended)

    def note(self, event: Event) -> None:
        """Take in one event; they come in the order of the journal."""
        number = event.get("trial")
        if event["event"] == "final":
            self._final = event
        elif event["event"] == "repeat":
            self._repeats[place_of_event(event)] = event
        if number is None:
            return
        if event["event"] == "start":
            self.started.add(number)
            self.ended.discard(number)
            self.errors.pop(number, None)
        elif event["event"] == "result":
            self._last_step[number] = max(event["step"], self.last_step(number))
            if self._best_name in event["metrics"]:
                self._best[number] = event["metrics"][self._best_name]
        elif event["event"] == "tag" and "hbpr.restarts" in event["tags"]:
            self.restarts[number] = int(event["tags"]["hbpr.restarts"])
            self.hangs[number] = int(event["tags"]["hbpr.hangs"])
        elif event["event"] == "end":
            self.ended.add(number)
            if "hbpr.error" in event.get("tags", {}):
                self.errors[number] = event["tags"]["hbpr.error"]

    def last_step(self, number: int) -> int:
        """Return the last epoch that a trial has a result of; 0 where it has none."""
        return self._last_step.get(number, 0)

    def best(self, number: int) -> float:
        """Return a trial's best value; -inf where it has none."""
        return self._best.get(number, -math.inf)

    def time_of(self, final: Event) -> int | None:
        """Return when this very answer of the study was recorded; None where it was not."""
        before = self._final
        return int(before["at"]) if before is not None and _same(before, final) else None

    def knows_repeat(self, repeat: Event) -> bool:
        """Return whether this very repeat was recorded, be it at another time."""
        before = self._repeats.get(place_of_event(repeat))
        return before is not None and _same(before, repeat)


def _same(one: Event, other: Event) -> bool:
    times = ("at", "began_at")
    first, second = ({k: v for k, v in each.items() if k not in times} for each in (one, other))
    return first == second
