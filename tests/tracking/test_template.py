"""The empty database of MLflow that is kept and copied."""

import sqlite3
from pathlib import Path

import pytest

from hbpr.tracking import sqlite
from hbpr.tracking.store import open_client, prepare


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as database:
        return {name for (name,) in database.execute("select name from sqlite_master")}


def test_a_new_file_is_a_copy_that_mlflow_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    prepare(uri)
    assert not (tmp_path / "mlflow.db").exists(), "nothing is recorded yet"
    (kept,) = (tmp_path / "cache" / "hbpr").glob("*.db")
    before = kept.read_bytes()
    monkeypatch.setattr(sqlite, "_make_tables", lambda path: pytest.fail("made again"))
    client = open_client(uri)
    assert client.create_experiment("e")
    assert tables(tmp_path / "mlflow.db") == tables(kept)
    assert kept.read_bytes() == before
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_without_a_folder_to_keep_it_tables_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        with sqlite3.connect(path) as database:
            database.execute(
                "create table experiments (experiment_id, name, artifact_location,"
                " lifecycle_stage, creation_time, last_update_time)"
            )

    monkeypatch.setattr(sqlite, "_make_tables", make)
    sqlite.build(tmp_path / "mlflow.db")
    assert len(made) == 1
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        found = database.execute("select name, artifact_location from experiments").fetchall()
    assert found == [("Default", str(tmp_path / "mlruns" / "0"))]
