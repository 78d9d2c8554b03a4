"""SQLite files in which MLflow was ended before all of its tables were there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hbpr.errors import TrackingError
from hbpr.tracking.store import check_store, open_client


def half_built(path: Path, *statements: str) -> str:
    """Make a file as MLflow leaves it when it is ended between two of its migrations."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return f"sqlite:///{path}"


#: The first tables that MLflow makes, of which `metrics` has a column of a later migration.
_FIRST = (
    "CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, "
    "artifact_location TEXT, lifecycle_stage TEXT)",
    "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT)",
)


def test_a_file_with_some_tables_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    uri = half_built(path, *_FIRST)
    for use in (open_client, check_store):
        with pytest.raises(TrackingError) as caught:
            use(uri)
        message = str(caught.value)
        assert message.startswith(f"{path}: a database of MLflow that was never finished: it has ")
        assert "tables and not one experiment" in message
        assert message.endswith("move the file away and start again, which builds a new one")
        assert "\n" not in message
    with closing(sqlite3.connect(path)) as database:  # nothing was taken away
        database.execute("SELECT step FROM metrics")


def test_a_file_with_experiments_is_not_taken_for_one(tmp_path: Path) -> None:
    row = "INSERT INTO experiments VALUES (0, 'Default', '', 'active')"
    uri = half_built(tmp_path / "x.db", *_FIRST, row)
    with pytest.raises(TrackingError) as caught:
        open_client(uri)
    assert "never finished" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\0" + b"\1" * 4096)
    with pytest.raises(TrackingError) as caught:
        open_client(f"sqlite:///{tmp_path}/x.db")
    assert "never finished" not in str(caught.value)
