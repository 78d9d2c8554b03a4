"""Writing to MLflow and reading models back: the one module of hbpr that imports it.

Only `MlflowClient` objects are used, never MLflow's global state, so a caller's own active run or
experiment cannot change where records go. MLflow is imported when a function here is first called.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from hbpr.errors import ConfigError, TrackingError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

    from hbpr.recommender import RecommendationSystem
    from hbpr.settings.models import TrialSettings

logger = logging.getLogger(__name__)

#: The run view with training columns and charts, not MLflow's default view of traces.
EXPERIMENT_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
#: Longest values that MLflow stores.
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000
#: Alias of the best version of a registered model.
CHAMPION: Final = "champion"
_SYSTEM_FOLDER: Final = "system"
_PERMANENT: Final = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
)
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Callers here keep what could not be sent and try again themselves; MLflow's seven retries
    # would hold a thread for minutes, and a repeated POST can create a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def mask_uri(uri: str) -> str:
    """Return the URI without the user and password in it, fit for logs and records.

    Example:
        >>> mask_uri("https://ann:secret@mlflow.example.org:5000/x")
        'https://mlflow.example.org:5000/x'
    """
    return re.sub(r"(?<=://)[^/?#\s]*@", "", uri)


def open_client(tracking_uri: str, *, create: bool = True) -> "MlflowClient":
    """Return a client of a tracking store that has just answered.

    A SQLite file is created where there is none, by one process at a time, and switched to
    write-ahead logging, so that several studies may write to it.

    Args:
        tracking_uri: SQLite file or server.
        create: Whether a SQLite file may be created; readers say no.

    Raises:
        ConfigError: The URI is of a kind that cannot be used.
        TrackingError: The store does not answer, or cannot be written to.
    """
    scheme = urlsplit(tracking_uri).scheme
    if scheme == "sqlite":
        return _open_sqlite(tracking_uri, create)
    if scheme in ("http", "https"):
        return _open_server(tracking_uri)
    raise ConfigError(
        f"mlflow.tracking_uri: expected sqlite:///FILE.db or http(s)://HOST:PORT, got "
        f"{mask_uri(tracking_uri)!r}. MLflow no longer records into plain folders: "
        "use sqlite:///mlflow.db"
    )


def ensure_experiment(client: "MlflowClient", name: str, tracking_uri: str) -> str:
    """Return the id of an experiment, made where there is none; several callers may race.

    Raises:
        TrackingError: The experiment was deleted, or the store does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            with contextlib.suppress(MlflowException):  # another process was faster
                location = _artifact_location(tracking_uri, name)
                return str(client.create_experiment(name, location, dict(EXPERIMENT_TAGS)))
            found = client.get_experiment_by_name(name)
    except MlflowException as error:
        raise tracking_error(tracking_uri, error) from error
    if found is None:
        raise TrackingError(f"MLflow at {mask_uri(tracking_uri)} could not create {name!r}")
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} was deleted in MLflow at {mask_uri(tracking_uri)}; restore it "
            f"with `mlflow experiments restore -x {found.experiment_id}`, or choose another "
            "mlflow.experiment_name"
        )
    for key, value in EXPERIMENT_TAGS.items():
        if key not in found.tags:
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted names.

    Example:
        >>> flatten({"model": {"n_latent": 8}, "top_k": [10]})
        {'model.n_latent': 8, 'top_k': [10]}
    """
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def flatten_settings(settings: "TrialSettings") -> dict[str, Any]:
    """Return what decides a run's result under dotted names; where it is recorded is left out."""
    return flatten(settings.model_dump(mode="json", exclude={"mlflow"}))


def as_text(value: Any, limit: int = MAX_PARAM) -> str:
    """Return a value as MLflow stores it: text stays, all else is JSON, cut at `limit`."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_permanent(error: Exception) -> bool:
    """Return whether MLflow would refuse the same call again, however often it is repeated."""
    return getattr(error, "error_code", None) in _PERMANENT


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
            self.set_tags({"hbpr.model": log_system(self.client, self.run_id, system)})

        self._try(log)

    def finish(self, status: Literal["FINISHED", "KILLED", "FAILED"] = "FINISHED") -> None:
        """Send what is left and close the run."""
        self._flush()
        if not self._try(lambda: self.client.set_terminated(self.run_id, status)):
            logger.error(
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

    def _try(self, call: Any) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            call()
        except (MlflowException, OSError) as error:
            if not self._away:
                logger.warning("%s", tracking_error(self.tracking_uri, error))
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
            self.set_tags({"hbpr.error": as_text(f"{kind.__name__}: {error}", 500)})
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
) -> RunLog:
    """Open one training run.

    Args:
        tracking_uri: SQLite file or server.
        experiment_name: Experiment, made where there is none.
        run_name: Name that MLflow's table shows.
        params: Settings under dotted names, such as `flatten_settings` returns.
        tags: Tags of the run.

    Raises:
        ConfigError: The URI is of a kind that cannot be used.
        TrackingError: The store cannot be used.
    """
    client = open_client(tracking_uri)
    experiment_id = ensure_experiment(client, experiment_name, tracking_uri)
    run = client.create_run(
        experiment_id,
        tags={"hbpr.kind": "train", "mlflow.source.name": "hbpr train"}
        | {key: as_text(value, MAX_TAG) for key, value in (tags or {}).items()},
        run_name=run_name,
    )
    log_batch(client, run.info.run_id, params=params)
    return RunLog(client, run.info.run_id, tracking_uri)


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


def log_system(
    client: "MlflowClient",
    run_id: str,
    system: "RecommendationSystem | str | Path",
    *,
    name: str = "recommender",
) -> str:
    """Log a trained system as the model of a run.

    The model holds the folder that `RecommendationSystem.save` writes (npz and JSON, no pickle);
    `mlflow.pyfunc.load_model` reads it wherever hbpr is installed.

    Args:
        client: From `open_client`.
        run_id: The run that made the system.
        system: The system, or the folder it was saved to.
        name: Name of the model.

    Returns:
        The model's URI, ``models:/m-…``, for `load_system` and `mlflow.pyfunc.load_model`.
    """
    from importlib.metadata import version

    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    experiment_id = client.get_run(run_id).info.experiment_id
    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        saved = Path(temporary) / _SYSTEM_FOLDER
        if isinstance(system, str | Path):
            saved = Path(system)
        else:
            system.save(saved)
        logged = client.create_logged_model(
            experiment_id, name=name, source_run_id=run_id, model_type="recommender"
        )
        folder = Path(temporary) / "model"
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=__name__,
            data_path=str(saved),
            mlflow_model=Model(
                artifact_path=logged.artifact_location,
                run_id=run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
            ),
            pip_requirements=[f"hbpr=={version('hbpr')}"],
        )
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return f"models:/{logged.model_id}"


class Registered(NamedTuple):
    """A version of a registered model.

    Attributes:
        name: Name of the registered model.
        version: This version.
        champion: The version that is the champion: this one, or a better one.
    """

    name: str
    version: str
    champion: str

    @property
    def uri(self) -> str:
        """The version's URI."""
        return f"models:/{self.name}/{self.version}"


def content_key(folder: Path) -> str:
    """Return a short text that changes with the files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def register_model(
    client: "MlflowClient", name: str, model_uri: str, *, run_id: str, tags: Mapping[str, str]
) -> Registered:
    """Register a logged model; the best one of its kind has the alias ``champion``.

    The alias stays where it is if the champion was judged by the same metric on the same data
    (tags ``hbpr.metric`` and ``hbpr.data``) and has a higher ``hbpr.value``.

    Args:
        client: From `open_client`.
        name: Name of the registered model, made where there is none.
        model_uri: What `log_system` returned; registering it again changes nothing.
        run_id: The run that made the model.
        tags: Tags of the version.
    """
    from mlflow.exceptions import MlflowException

    name = re.sub(r"[/:]+", "-", name)
    with contextlib.suppress(MlflowException):  # it exists; else the next call tells
        client.create_registered_model(name)
    model_id = model_uri.split("/")[-1]
    for found in client.search_model_versions(f"name = '{name}'"):
        if found.tags.get("hbpr.model") == model_uri:
            version = found
            break
    else:
        source = model_uri
        if not str(client.tracking_uri).startswith("http"):
            # A store in this process would look the model up in MLflow's process-wide store.
            source = client.get_logged_model(model_id).artifact_location
        version = client.create_model_version(
            name,
            source=source,
            run_id=run_id,
            tags=dict(tags) | {"hbpr.model": model_uri},
            model_id=model_id,
        )
    try:
        champion = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        champion = None
    if champion is None or not _is_better(champion.tags, tags):
        client.set_registered_model_alias(name, CHAMPION, version.version)
        champion = version
    return Registered(name, str(version.version), str(champion.version))


def _is_better(champion: Mapping[str, str], other: Mapping[str, str]) -> bool:
    same = all(champion.get(key) == other.get(key) for key in ("hbpr.metric", "hbpr.data"))
    return same and float(champion.get("hbpr.value", "-inf")) > float(other["hbpr.value"])


def load_system(model_uri: str, tracking_uri: str | None = None) -> "RecommendationSystem":
    """Read back a system that `log_system` wrote.

    Args:
        model_uri: ``models:/m-…``, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or
            ``runs:/RUN/recommender``.
        tracking_uri: Where it was recorded; default: ``MLFLOW_TRACKING_URI``.

    Raises:
        TrackingError: There is no such model, or the store does not answer.
    """
    uri = default_tracking_uri() if tracking_uri is None else tracking_uri
    client = open_client(uri, create=False)
    import mlflow.artifacts
    import yaml
    from mlflow.exceptions import MlflowException

    from hbpr.recommender import RecommendationSystem

    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        try:
            folder = Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=_model_location(client, model_uri),
                    dst_path=temporary,
                    tracking_uri=uri,
                )
            )
            described = yaml.safe_load((folder / "MLmodel").read_text())
            flavor = described["flavors"]["python_function"]
        except (MlflowException, OSError, KeyError) as error:
            raise TrackingError(
                f"no model {model_uri} in MLflow at {mask_uri(uri)}: {_first_line(error)}"
            ) from error
        if flavor["loader_module"] != __name__:
            raise TrackingError(f"model {model_uri} was not logged by hbpr")
        return RecommendationSystem.load(folder / flavor["data"])


def _model_location(client: "MlflowClient", model_uri: str) -> str:
    """Return where a model's files are; a registered version names another URI as its source.

    MLflow's own resolving of ``models:/`` looks in the process-wide tracking store, whatever
    tracking URI it is given.
    """
    scheme, _, rest = model_uri.partition(":/")
    if scheme == "models":
        if "@" in rest:
            version = client.get_model_version_by_alias(*rest.split("@", 1))
            return _model_location(client, str(version.source))
        if "/" in rest:
            version = client.get_model_version(*rest.split("/", 1))
            return _model_location(client, str(version.source))
        return str(client.get_logged_model(rest).artifact_location)
    if scheme == "runs":
        run_id, _, name = rest.partition("/")
        outputs = client.get_run(run_id).outputs
        for output in outputs.model_outputs if outputs else []:
            model = client.get_logged_model(output.model_id)
            if model.name == name:
                return str(model.artifact_location)
    return model_uri


def default_tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or the SQLite file of the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


class SystemModel:
    """What `mlflow.pyfunc.load_model` calls."""

    def __init__(self, system: "RecommendationSystem") -> None:
        self.system = system

    def predict(
        self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """Return the best items for each user.

        Args:
            model_input: A column `user` with ids; optionally a column `k` (its first value
                holds for all).
            params: `k` may also be given here. Default: 10.

        Returns:
            Columns user, item, score and rank (from 1).
        """
        if "user" not in model_input.columns:
            raise ValueError(
                f"model input: expected a column 'user', got {list(model_input.columns)}"
            )
        k = (params or {}).get("k", model_input["k"].iloc[0] if "k" in model_input else 10)
        return self.system.recommend(model_input["user"].to_numpy(), k=int(k))


def _load_pyfunc(path: str) -> SystemModel:
    """Load a model's data folder: the function that MLflow looks for by name."""
    from hbpr.recommender import RecommendationSystem

    return SystemModel(RecommendationSystem.load(Path(path)))


def _import_client() -> "type[MlflowClient]":
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It logs a traceback of every error that it raises as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    client: type[MlflowClient] = MlflowClient
    return client


def _open_server(uri: str) -> "MlflowClient":
    client_class = _import_client()
    from mlflow.exceptions import MlflowException

    before = {key: os.environ[key] for key in _QUIET if key.startswith("MLFLOW_HTTP")}
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    try:
        client = client_class(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise tracking_error(uri, error) from error
    finally:
        os.environ |= before
    return client


def _open_sqlite(uri: str, create: bool) -> "MlflowClient":
    path = sqlite_path(uri)
    if path is None:
        raise ConfigError(
            f"mlflow.tracking_uri: expected sqlite:///FILE.db, got {uri!r}; a database in memory "
            "would be lost with the process"
        )
    if not path.parent.is_dir():
        raise TrackingError(f"mlflow.tracking_uri {uri}: there is no folder {path.parent}")
    if not create and not path.exists():
        raise TrackingError(
            f"mlflow.tracking_uri {uri}: there is no file {path}. Nothing was recorded there: "
            "name the right file with --tracking-uri or MLFLOW_TRACKING_URI"
        )
    client_class = _import_client()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _locked_folder(path.parent):
            # First by hand: MLflow tries for minutes to open a file that it cannot.
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("BEGIN IMMEDIATE")
                database.rollback()
            client = client_class(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        if "out-of-date" in str(error):
            raise TrackingError(
                f"{path} was written by another version of MLflow; back it up, then run "
                f"`mlflow db upgrade {uri}`"
            ) from error
        raise tracking_error(uri, error) from error
    return client


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a ``sqlite:///`` URI, or None where it names none."""
    path = uri.removeprefix("sqlite:///").split("?")[0]
    return None if path == uri or path in ("", ":memory:") else Path(path).absolute()


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Let one process at a time create a database in the folder: four at once break it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _artifact_location(uri: str, name: str) -> str | None:
    """Return a folder beside the SQLite file; a server chooses for itself."""
    path = sqlite_path(uri)
    # No percent signs: MLflow decodes a path once more each time it is handed on.
    folder = re.sub(r"[^\w .+-]", "-", name).strip(". ") or "experiment"
    return None if path is None else (path.parent / "mlruns" / folder).as_uri()


def tracking_error(uri: str, error: Exception) -> TrackingError:
    """Say in plain words, without credentials, why a store cannot be used."""
    if not uri.startswith("http"):
        return TrackingError(
            f"MLflow at {uri} cannot be used: {_first_line(error)}. "
            "Check that the file and its folder can be written to"
        )
    away = "Max retries exceeded" in str(error) or "timed out" in str(error)
    why = "it does not answer" if away else mask_uri(_first_line(error))
    return TrackingError(
        f"MLflow at {mask_uri(uri)} cannot be used: {why}. "
        "Check mlflow.tracking_uri, and that the server runs"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def find_experiment(client: "MlflowClient", name: str, tracking_uri: str) -> "Experiment":
    """Return an experiment that exists.

    Raises:
        ConfigError: There is none of that name; the nearest names are given.
    """
    import difflib

    found = client.get_experiment_by_name(name)
    if found is not None:
        return found
    names = [experiment.name for experiment in client.search_experiments(max_results=1000)]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)[:5]
    raise ConfigError(
        f"experiment {name!r}: not in MLflow at {mask_uri(tracking_uri)}. "
        f"Did you mean {', '.join(map(repr, near))}?"
    )
