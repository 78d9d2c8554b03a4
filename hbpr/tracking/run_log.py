"""One training run in MLflow: its settings, tags and metrics, however the store behaves."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from hbpr.settings.load import dotted
from hbpr.tracking import tags as tag
from hbpr.tracking.about import log_dataset
from hbpr.tracking.registry import log_system
from hbpr.tracking.store import ensure_experiment, mask_uri, open_client, tracking_error

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from hbpr.inference.system import RecommendationSystem
    from hbpr.settings.models import TrialSettings

_log = logging.getLogger(__name__)

#: Longest values that MLflow stores.
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000


def flatten_settings(settings: "TrialSettings") -> dict[str, Any]:
    """Return what decides a run's result under dotted names; where it is recorded is left out."""
    return dotted(settings.model_dump(mode="json", exclude={"mlflow"}))


def as_text(value: Any, limit: int = MAX_PARAM) -> str:
    """Return a value as MLflow stores it: text stays, all else is JSON, cut at `limit`."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def log_batch(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: list[tuple[str, float, int, int]] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Write metrics (name, value, milliseconds since 1970, step), params and tags in few calls."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(*point) for point in metrics or ()]
    settings = [Param(key, as_text(value)) for key, value in (params or {}).items()]
    labels = [RunTag(key, as_text(value, MAX_TAG)) for key, value in (tags or {}).items()]
    while points or settings or labels:
        client.log_batch(run_id, points[:800], settings[:100], labels[:100])
        points, settings, labels = points[800:], settings[100:], labels[100:]


class RunLog:
    """One training run in MLflow, as a context manager.

    Leaving it by an exception ends the run as FAILED, by Ctrl-C as KILLED. Metrics are sent at
    most once a second. A store that goes away while training is reported and tried again at the
    next report: it never ends the training.
    """

    def __init__(self, client: "MlflowClient", run_id: str, tracking_uri: str) -> None:
        self.client = client
        self.run_id = run_id
        self.tracking_uri = tracking_uri
        self._unsent: list[tuple[str, float, int, int]] = []
        self._sent_at = time.monotonic()
        self._away = False

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record values at one step (the epoch, from 1)."""
        now = int(time.time() * 1000)
        self._unsent += [(name, float(value), now, step) for name, value in metrics.items()]
        if time.monotonic() - self._sent_at >= 1.0:
            self._flush()

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags on the run."""
        self._try(lambda: log_batch(self.client, self.run_id, tags=tags))

    def log_model(self, system: "RecommendationSystem") -> None:
        """Log a trained system as the run's model, and its URI as the tag ``hbpr.model``."""

        def log() -> None:
            self.set_tags({tag.MODEL: log_system(self.client, self.run_id, system)})

        self._try(log)

    def finish(self, status: Literal["FINISHED", "KILLED", "FAILED"] = "FINISHED") -> None:
        """Send what is left and close the run."""
        self._flush()
        if not self._try(lambda: self.client.set_terminated(self.run_id, status)):
            _log.error(
                "run %s could not be closed: MLflow at %s does not answer; the result is kept, "
                "%d values are not in MLflow",
                self.run_id,
                mask_uri(self.tracking_uri),
                len(self._unsent),
            )

    def _flush(self) -> None:
        self._sent_at = time.monotonic()
        unsent = list(self._unsent)
        if unsent and self._try(lambda: log_batch(self.client, self.run_id, metrics=unsent)):
            del self._unsent[: len(unsent)]

    def _try(self, call: Callable[[], object]) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            call()
        except (MlflowException, OSError) as error:
            if not self._away:
                _log.warning("%s", tracking_error(self.tracking_uri, error))
            self._away = True
            return False
        self._away = False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish("FINISHED")
        elif issubclass(kind, Exception):
            self.set_tags({tag.ERROR: as_text(f"{kind.__name__}: {error}", 500)})
            self.finish("FAILED")
        else:
            self.finish("KILLED")


def start_run(
    tracking_uri: str,
    experiment_name: str,
    *,
    run_name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, Any] | None = None,
    dataset: Mapping[str, str] | None = None,
) -> RunLog:
    """Open one training run.

    Args:
        tracking_uri: SQLite file or server.
        experiment_name: Experiment, made where there is none.
        run_name: Name that MLflow's table shows.
        params: Settings under dotted names, such as `flatten_settings` returns.
        tags: Tags of the run.
        dataset: What MLflow lists as the run's data, see `hbpr.tracking.about`.

    Raises:
        ConfigError: The URI is of a kind that cannot be used.
        TrackingError: The store cannot be used.
    """
    client = open_client(tracking_uri)
    experiment_id = ensure_experiment(client, experiment_name, tracking_uri)
    run = client.create_run(
        experiment_id,
        tags={tag.KIND: "train", tag.SOURCE: "hbpr train"}
        | {key: as_text(value, MAX_TAG) for key, value in (tags or {}).items()},
        run_name=run_name,
    )
    log_batch(client, run.info.run_id, params=params)
    if dataset is not None:
        log_dataset(client, run.info.run_id, dataset)
    return RunLog(client, run.info.run_id, tracking_uri)
