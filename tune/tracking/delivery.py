"""Turn a study's events into MLflow runs side by side: of the study, its trials and their repeats.

Runs are found again by their tags, so a resumed study, or a `sync` after a crash, goes on with the
runs that exist. Runs carry no parent: MLflow's table would fold them away and show no charts.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbpr.errors import TrackingError
from hbpr.tracking import tags as tag
from hbpr.tracking.about import log_dataset
from hbpr.tracking.registry import Registered, content_key, log_system, register_model
from hbpr.tracking.run_log import as_text, log_batch
from hbpr.tracking.store import (
    ensure_experiment,
    is_permanent,
    open_client,
    tracking_error,
)
from tune.tracking.outbox import Event
from tune.tracking.runs import RunKey, find_runs, key_of_event, key_of_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)


@dataclass
class _Change:
    """What a chunk of events changes in one run."""

    name: str = ""
    started_at: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    points: list[tuple[str, float, int, int]] = field(default_factory=list)
    status: str | None = None
    ended_at: int | None = None
    texts: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    model: str | None = None
    register: dict[str, str] | None = None
    view: tuple[str, str] | None = None
    dataset: dict[str, str] | None = None

    def add(self, event: Event) -> None:
        at = event["at"]
        self.params |= event.get("params", {})
        self.tags |= event.get("tags", {})
        self.texts |= event.get("texts", {})
        self.files += event.get("files", [])
        self.model = event.get("model", self.model)
        self.register = event.get("register", self.register)
        self.view = event.get("view", self.view)
        self.dataset = event.get("dataset", self.dataset)
        curve = event.get("curve", [(event.get("step", 0), event.get("metrics", {}))])
        self.points += [
            (name, value, at, step) for step, metrics in curve for name, value in metrics.items()
        ]
        if event["event"] == "repeat":
            self.name, self.status = event["name"], event["status"]
            self.started_at, self.ended_at = event["began_at"], at
        elif event["event"] == "start":
            self.name, self.status = event["name"], "RUNNING"
            self.started_at, self.ended_at = self.started_at or at, None
        elif event["event"] == "end":
            self.status, self.ended_at = event["status"], at


class Delivery:
    """Writes events to MLflow; used by one thread.

    Args:
        tracking_uri: SQLite file or server.
        experiment_name: Experiment, made where there is none.
        study_id: Tag that all runs of the study carry.

    Attributes:
        experiment_id: Id of the experiment, once MLflow has answered.
        runs: Run id of the study, of each trial and of each repeat, as far as they are known.
        registered: The registered version of the study's model, once there is one.
    """

    def __init__(self, tracking_uri: str, experiment_name: str, study_id: str) -> None:
        self.tracking_uri = tracking_uri
        self.experiment_name = experiment_name
        self.study_id = study_id
        self.experiment_id: str | None = None
        self.runs: dict[RunKey, str] = {}
        self.registered: Registered | None = None
        self._statuses: dict[RunKey, str] = {}
        self._known: dict[RunKey, dict[str, set[int]]] = {}
        self._client: MlflowClient | None = None

    def __call__(self, events: list[Event]) -> None:
        """Deliver events in order.

        Raises:
            TrackingError: MLflow does not answer; the same events may be delivered again.
        """
        from mlflow.exceptions import MlflowException

        changes: dict[RunKey, _Change] = {}
        for event in events:
            changes.setdefault(key_of_event(event), _Change()).add(event)
        try:
            client = self._client or self._connect()
            self._client = None  # a call that breaks half-way: look the runs up again
            for key, change in changes.items():
                try:
                    self._apply(client, key, change)
                except MlflowException as error:
                    if not is_permanent(error):
                        raise
                    logger.warning("MLflow refused records of %s: %s", key.name, error)
            self._client = client
        except TrackingError:
            raise
        except (MlflowException, OSError) as error:
            raise tracking_error(self.tracking_uri, error) from error

    def _connect(self) -> "MlflowClient":
        client = open_client(self.tracking_uri)
        import mlflow.pyfunc  # noqa: F401 - what the end of a study needs, while trials run

        self.experiment_id = ensure_experiment(client, self.experiment_name, self.tracking_uri)
        runs, statuses = {}, {}
        for run in find_runs(
            client, self.experiment_id, f"tags.`{tag.STUDY_ID}` = '{self.study_id}'"
        ):
            key = key_of_run(run.data.tags)
            runs[key], statuses[key] = run.info.run_id, run.info.status
        self.runs, self._statuses = runs, statuses
        self._known = {key: {} for key in runs if key.kind == "trial"}
        return client

    def _apply(self, client: "MlflowClient", key: RunKey, change: _Change) -> None:
        run_id = self.runs.get(key)
        if run_id is None:
            run_id = self._create(client, key, change)
        elif change.started_at is not None and self._statuses.get(key) != "RUNNING":
            client.update_run(run_id, status="RUNNING")
            self._statuses[key] = "RUNNING"
        points = self._new(client, key, change.points)
        log_batch(client, run_id, metrics=points, params=change.params, tags=change.tags)
        for name, text in change.texts.items():
            client.log_text(run_id, text, name)
        for path in change.files:
            if Path(path).is_file():
                client.log_artifact(run_id, path)
            else:
                logger.warning("%s is gone and is not added to MLflow", path)
        if change.view is not None:
            client.set_experiment_tag(str(self.experiment_id), *change.view)
        if change.model is not None:
            self._log_model(client, run_id, Path(change.model), change.register)
        if change.status is not None and change.status != "RUNNING":
            client.set_terminated(run_id, change.status, change.ended_at)
            self._statuses[key] = change.status

    def _new(
        self, client: "MlflowClient", key: RunKey, points: list[tuple[str, float, int, int]]
    ) -> list[tuple[str, float, int, int]]:
        """Leave out what a run that goes on has already, sent by a process whose disk lost it.

        MLflow itself takes a point at another time for another point.
        """
        if key not in self._known:
            return points
        known, run_id = self._known[key], self.runs[key]
        for name in {name for name, *_ in points} - known.keys():
            known[name] = {point.step for point in client.get_metric_history(run_id, name)}
        return [point for point in points if point[3] not in known[point[0]]]

    def _create(self, client: "MlflowClient", key: RunKey, change: _Change) -> str:
        tags = {tag.STUDY_ID: self.study_id} | key.tags
        run = client.create_run(
            str(self.experiment_id),
            start_time=change.started_at,
            tags=tags | {key: as_text(value) for key, value in change.tags.items()},
            run_name=change.name or f"trial-{key.trial:03d}",
        )
        self.runs[key], self._statuses[key] = run.info.run_id, "RUNNING"
        if change.dataset is not None:
            log_dataset(client, run.info.run_id, change.dataset)
        return str(run.info.run_id)

    def _log_model(
        self, client: "MlflowClient", run_id: str, folder: Path, register: dict[str, str] | None
    ) -> None:
        """Log the model, unless that was done before, and register it."""
        if not folder.is_dir():
            logger.warning("%s is gone and is not added to MLflow", folder)
            return
        tags, content = client.get_run(run_id).data.tags, content_key(folder)
        if tags.get(tag.MODEL_CONTENT) == content:
            uri = tags[tag.MODEL]
        else:
            uri = log_system(client, run_id, folder)
            log_batch(client, run_id, tags={tag.MODEL: uri, tag.MODEL_CONTENT: content})
        if register is not None:
            self.registered = register_model(
                client, self.experiment_name, uri, run_id=run_id, tags=register
            )
            log_batch(client, run_id, tags={tag.REGISTERED: self.registered.uri})
