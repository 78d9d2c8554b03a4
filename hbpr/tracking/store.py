"""Where records are kept: opening MLflow's tracking store, and saying why one cannot be used.

Only `MlflowClient` objects are used, never MLflow's global state, so a caller's own active run or
experiment cannot change where records go. MLflow is imported when a function here is first called.
"""

import contextlib
import logging
import os
import re
import socket
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from hbpr.errors import ConfigError, TrackingError
from hbpr.files import Lock
from hbpr.names import folder_name
from hbpr.tracking.sqlite import build, is_current, switch_to_wal, tables_without_experiment
from hbpr.words import did_you_mean

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

#: The run view with training columns and charts, not MLflow's default view of traces.
EXPERIMENT_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
_PERMANENT: Final = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
)
#: Seconds to wait for a connection to a server.
_CONNECT_S: Final = 5.0
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


def open_client(tracking_uri: str, *, create: bool = True) -> "MlflowClient":
    """Return a client of a tracking store that has just answered.

    A SQLite file is created where there is none, by one process at a time and whole or not at all,
    and switched to write-ahead logging, so that several studies may write to it.

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


def check_store(tracking_uri: str) -> None:
    """Make sure that a tracking store can be used, and leave nothing behind where it is a new file.

    Raises:
        ConfigError: The URI is of a kind that cannot be used.
        TrackingError: The store does not answer, or cannot be written to.
    """
    path = sqlite_path(tracking_uri)
    if path is None or path.exists():
        if path is None or not is_current(path):
            open_client(tracking_uri)
        return
    _check_folder(path, tracking_uri)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise tracking_error(tracking_uri, error) from error


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


def find_experiment(client: "MlflowClient", name: str, tracking_uri: str) -> "Experiment":
    """Return an experiment that exists.

    Raises:
        ConfigError: There is none of that name; the nearest names are given.
    """
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found
    names = [experiment.name for experiment in client.search_experiments(max_results=1000)]
    some = f" Experiments: {', '.join(map(repr, sorted(names)[:5])) or 'none'}"
    raise ConfigError(
        f"experiment {name!r}: not in MLflow at {mask_uri(tracking_uri)}."
        + did_you_mean(name, names, some, shown=repr, most=3, likeness=0.4)
    )


def default_tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or the SQLite file of the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a ``sqlite:///`` URI, or None where it names none.

    As SQLAlchemy does, it takes ``%20`` for a space; `hbpr.settings.load.resolve_paths` writes the
    signs of a folder's name so.
    """
    path = uri.removeprefix("sqlite:///").split("?")[0]
    return None if path == uri or path in ("", ":memory:") else Path(unquote(path)).absolute()


def mask_uri(uri: str) -> str:
    """Return the URI without the user and password in it, fit for logs and records.

    Example:
        >>> mask_uri("https://ann:secret@mlflow.example.org:5000/x")
        'https://mlflow.example.org:5000/x'
    """
    return re.sub(r"(?<=://)[^/?#\s]*@", "", uri)


def tracking_error(uri: str, error: Exception) -> TrackingError:
    """Say in plain words, without credentials, why a store cannot be used."""
    if not uri.startswith("http"):
        return TrackingError(
            f"MLflow at {uri} cannot be used: {first_line(error)}. "
            "Check that the file and its folder can be written to"
        )
    away = "Max retries exceeded" in str(error) or "timed out" in str(error)
    why = "it does not answer" if away else mask_uri(first_line(error))
    return TrackingError(
        f"MLflow at {mask_uri(uri)} cannot be used: {why}. "
        "Check mlflow.tracking_uri, and that the server runs"
    )


def is_permanent(error: Exception) -> bool:
    """Return whether MLflow would refuse the same call again, however often it is repeated."""
    return getattr(error, "error_code", None) in _PERMANENT


def first_line(error: Exception) -> str:
    """Return the first line of a message, 300 characters at most, or the kind of the error."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def import_client() -> "type[MlflowClient]":
    """Import MLflow, which takes seconds, told to be quiet and to report to nobody."""
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It logs a traceback of every error that it raises as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    client: type[MlflowClient] = MlflowClient
    return client


def _open_server(uri: str) -> "MlflowClient":
    _check_somebody_listens(uri)
    client_class = import_client()
    from mlflow.exceptions import MlflowException

    before = {key: os.environ[key] for key in _QUIET if key.startswith("MLFLOW_HTTP")}
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    retries = logging.getLogger("urllib3.connectionpool")  # it warns before each; we raise
    level = retries.level
    retries.setLevel(logging.ERROR)
    try:
        client = client_class(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise tracking_error(uri, error) from error
    finally:
        os.environ |= before
        retries.setLevel(level)
    return client


def _check_somebody_listens(uri: str) -> None:
    """Make sure that somebody listens, before MLflow is imported and tries again and again.

    Behind a proxy only the proxy can tell.

    Raises:
        ConfigError: The URI names no host, or no port that could be one.
        TrackingError: Nobody listens there, or there is no such host.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = None, 0
    if host is None:
        raise ConfigError(
            f"mlflow.tracking_uri: expected http(s)://HOST:PORT, got {mask_uri(uri)!r}"
        )
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise TrackingError(
            f"MLflow at {mask_uri(uri)} cannot be used: it does not answer "
            f"({error.strerror or error}). Check mlflow.tracking_uri, and that the server runs"
        ) from error


def _open_sqlite(uri: str, create: bool) -> "MlflowClient":
    path = sqlite_path(uri)
    if path is None:
        raise ConfigError(
            f"mlflow.tracking_uri: expected sqlite:///FILE.db, got {uri!r}; a database in memory "
            "would be lost with the process"
        )
    _check_folder(path, uri)
    if not create and not path.exists():
        raise TrackingError(
            f"mlflow.tracking_uri {uri}: there is no file {path}. Nothing was recorded there: "
            "name the right file with --tracking-uri or MLFLOW_TRACKING_URI"
        )
    client_class = import_client()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with Lock(path.parent):  # one process at a time creates a database: four at once break it
            if not path.exists():
                build(path)
            switch_to_wal(path)
            client = client_class(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        n_tables = tables_without_experiment(path)
        if n_tables:
            raise TrackingError(
                f"{path}: a database of MLflow that was never finished: it has {n_tables} tables "
                "and not one experiment, and MLflow cannot go on with it "
                f"({first_line(error)}). Nothing was recorded in it: unless another process builds "
                "it just now, move the file away and start again, which builds a new one"
            ) from error
        if "out-of-date" in str(error):
            raise TrackingError(
                f"{path} was written by another version of MLflow; back it up, then run "
                f"`mlflow db upgrade {uri}`"
            ) from error
        raise tracking_error(uri, error) from error
    return client


def _check_folder(path: Path, uri: str) -> None:
    if not path.parent.is_dir():
        raise TrackingError(f"mlflow.tracking_uri {uri}: there is no folder {path.parent}")


def _artifact_location(uri: str, name: str) -> str | None:
    """Return a folder beside the SQLite file; a server chooses for itself."""
    path = sqlite_path(uri)
    # No percent signs: MLflow decodes a path once more each time it is handed on.
    folder = folder_name(name, " .+-", "experiment")
    return None if path is None else (path.parent / "mlruns" / folder).as_uri()
