"""The empty database of MLflow that is kept and copied."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from hbpr.tracking import sqlite
from hbpr.tracking.store import check_store, open_client


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as database:
        return {name for (name,) in database.execute("select name from sqlite_master")}


def test_a_new_file_is_a_copy_that_mlflow_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    sqlite.template()
    (kept,) = (tmp_path / "cache" / "hbpr").glob("*.db")
    before = kept.read_bytes()
    monkeypatch.setattr(sqlite, "_make_tables", lambda path: pytest.fail("made again"))
    client = open_client(uri)
    assert client.create_experiment("e")
    assert tables(tmp_path / "mlflow.db") == tables(kept)
    assert kept.read_bytes() == before
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_file_of_this_mlflow_is_known_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "it's 50 % #1.db"
    sqlite.build(path)
    assert sqlite.is_current(path)
    monkeypatch.setattr("hbpr.tracking.store.open_client", lambda uri: pytest.fail("opened"))
    check_store(f"sqlite:///{quote(str(path))}")
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'older'")
    assert not sqlite.is_current(path)


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_another_file_is_left_to_mlflow(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert sqlite.template() is not None
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    assert not sqlite.is_current(path)


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
