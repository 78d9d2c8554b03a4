"""MLflow's database as a SQLite file: built whole or not at all, and looked into without MLflow."""

import contextlib
import glob
import sqlite3
from pathlib import Path
from urllib.parse import quote

from hbpr.files import PARTIAL, fresh_file


def build(path: Path) -> None:
    """Build an empty database beside, and move it into place.

    MLflow goes through dozens of migrations, each a transaction of its own, and cannot go on with
    a file where it was killed between two of them.
    """
    from mlflow.store.db import utils

    for left in path.parent.glob(f".{glob.escape(path.name)}-*{PARTIAL}*"):
        left.unlink(missing_ok=True)  # of a process that was killed here, with its logs
    with fresh_file(path) as partial:
        switch_to_wal(partial)
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{quote(str(partial))}")
        try:
            utils._initialize_tables(engine)
        finally:
            engine.dispose()  # the last to close it moves the log into the file


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
