"""MLflow's database as a SQLite file: built whole or not at all, and looked into without MLflow."""

import contextlib
import glob
import logging
import os
import shutil
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from hbpr.files import PARTIAL, Lock, fresh_file

_log = logging.getLogger(__name__)


def build(path: Path) -> None:
    """Build an empty database beside, from the template where there is one, and move it into place.

    MLflow goes through dozens of migrations, each a transaction of its own, and cannot go on with
    a file where it was killed between two of them.
    """
    _drop_partial(path)
    ready = template()
    with fresh_file(path) as partial:
        if ready is None:
            _make_tables(partial)
        else:
            shutil.copyfile(ready, partial)
        _add_default_experiment(partial, path.parent / "mlruns" / "0")


def template() -> Path | None:
    """Return an empty database of the installed MLflow, made on first use and kept for the user.

    MLflow's migrations take seconds, and come to the same file each time. None: it cannot be kept.
    """
    kept = _kept()
    try:
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with Lock(kept.with_suffix(".lock")):
                if not kept.is_file():
                    _drop_partial(kept)
                    with fresh_file(kept) as partial:
                        _make_tables(partial)
    except OSError:
        _log.debug("no template of MLflow's database in %s", kept, exc_info=True)
        return None
    return kept


def _drop_partial(path: Path) -> None:
    """Remove what a process left that was killed while it made this file, with its logs."""
    for left in path.parent.glob(f".{glob.escape(path.name)}-*{PARTIAL}*"):
        left.unlink(missing_ok=True)


def _kept() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "hbpr" / f"mlflow-{version('mlflow')}.db"


def _make_tables(path: Path) -> None:
    from mlflow.store.db import utils

    switch_to_wal(path)
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{quote(str(path))}")
    try:
        utils._initialize_tables(engine)
    finally:
        engine.dispose()  # the last to close it moves the log into the file


def _add_default_experiment(path: Path, artifacts: Path) -> None:
    """Add the experiment that MLflow would add when it first opens the file.

    MLflow writes the folder into the text of a statement, which fails where its name has both kinds
    of quotes, or a colon that looks like a parameter.
    """
    now = int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage,"
            " creation_time, last_update_time) VALUES (0, 'Default', ?, 'active', ?, ?)",
            (str(artifacts), now, now),
        )


def is_current(path: Path) -> bool:
    """Whether a file is a whole database of the installed MLflow that can be written to.

    False where that is not known without MLflow, whose import takes a second.
    """
    kept = _kept()
    try:
        if (
            not kept.is_file()
            or _version(path) != _version(kept)
            or tables_without_experiment(path)
        ):
            return False
        switch_to_wal(path)
    except (OSError, sqlite3.Error):
        return False
    return True


def _version(path: Path) -> list[tuple[str]]:
    """Return the last migration of a file."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchall()


def tables_without_experiment(path: Path) -> int:
    """Return how many tables a file has in which MLflow has not yet made its first experiment.

    MLflow makes that when all tables are there; 0 where there is one, or nothing can be read.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = [name for (name,) in found]
            some = "experiments" in names and database.execute("SELECT 1 FROM experiments LIMIT 1")
            return 0 if some and some.fetchone() else len(names)
    except sqlite3.Error:
        return 0


def switch_to_wal(path: Path) -> None:
    """Switch a file to write-ahead logging, which fails where MLflow would try for minutes."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
