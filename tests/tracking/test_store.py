import errno
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hbpr.errors import ConfigError, TrackingError
from hbpr.tracking.store import (
    EXPERIMENT_TAGS,
    check_store,
    ensure_experiment,
    find_experiment,
    mask_uri,
    open_client,
)


@pytest.mark.parametrize(
    ("uri", "masked"),
    [
        ("http://ann:secret@host:5000/a", "http://host:5000/a"),
        ("https://token@host", "https://host"),
        ("https://a:p@ss@host", "https://host"),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("http://host/x@y", "http://host/x@y"),
    ],
)
def test_user_and_password_are_masked(uri: str, masked: str) -> None:
    assert mask_uri(uri) == masked


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "sqlite:///:memory:", "ftp://x"])
def test_a_store_that_cannot_be_used_is_refused(uri: str) -> None:
    for use in (open_client, check_store):
        with pytest.raises(ConfigError, match="sqlite:///"):
            use(uri)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for use in (open_client, check_store):
        with pytest.raises(TrackingError, match=r"there is no folder .*nowhere"):
            use(f"sqlite:///{tmp_path}/nowhere/mlflow.db")


def test_a_file_that_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is not a database, " * 100)
    for use in (open_client, check_store):
        with pytest.raises(TrackingError, match="not a database"):
            use(f"sqlite:///{tmp_path}/x.db")


def test_a_check_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path}/x.db"
    check_store(uri)
    assert not list(tmp_path.iterdir())

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(TrackingError, match=r"x\.db cannot be used: .*No space left"):
        check_store(uri)


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="there is no file"):
        open_client(f"sqlite:///{tmp_path}/x.db", create=False)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_is_told_in_seconds_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"http://127.0.0.1:9 .*does not answer") as caught:
        open_client("http://ann:secret@127.0.0.1:9")
    assert "(Connection refused)" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caplog.text == ""
    assert time.monotonic() - start < 10


def test_behind_a_proxy_mlflow_asks_and_its_tries_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="does not answer"):
        open_client("http://mlflow.invalid:5000")
    assert caplog.text == ""


@pytest.mark.parametrize("uri", ["http://", "http://host:port", "http://host:99999"])
def test_an_address_without_a_host_or_with_a_wrong_port_is_told(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"expected http\(s\)://HOST:PORT, got"):
        open_client(uri)


def test_processes_may_create_one_database_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    program = (
        "import sys, hbpr.tracking.store as m; "
        "c = m.open_client(sys.argv[1]); print(m.ensure_experiment(c, 'same', sys.argv[1]))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    results = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0], results
    assert results == [(b"1\n", b"")] * 2, "quiet, and one experiment"


def test_a_process_killed_while_it_makes_a_database_leaves_none_by_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))  # where the tables are made, to be copied
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    program = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from hbpr.tracking.store import open_client

@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *more):
    if "CREATE TABLE datasets" in statement:  # the migration adds others, and then its version
        os.kill(os.getpid(), signal.SIGKILL)

open_client(sys.argv[1])
"""
    child = subprocess.run([sys.executable, "-c", program, uri], capture_output=True)
    assert child.returncode == -signal.SIGKILL, child
    assert not (tmp_path / "mlflow.db").exists()
    assert list(cache.rglob("*.partial*"))
    open_client(uri).create_experiment("films")
    assert not list(tmp_path.rglob("*.partial*"))


def test_an_experiment_is_made_once_with_the_view_of_training_runs(tracking_uri: str) -> None:
    client = open_client(tracking_uri)
    first = ensure_experiment(client, "films and/or more", tracking_uri)
    assert ensure_experiment(client, "films and/or more", tracking_uri) == first
    found = find_experiment(client, "films and/or more", tracking_uri)
    assert found.tags.items() >= EXPERIMENT_TAGS.items()
    assert found.artifact_location.startswith("file:///")
    client.delete_experiment(first)
    with pytest.raises(TrackingError, match=r"was deleted.*mlflow experiments restore"):
        ensure_experiment(client, "films and/or more", tracking_uri)


def test_an_unknown_experiment_names_the_nearest(tracking_uri: str) -> None:
    client = open_client(tracking_uri)
    ensure_experiment(client, "ml-100k", tracking_uri)
    with pytest.raises(ConfigError, match=r"'ml-10k'.*Did you mean 'ml-100k'"):
        find_experiment(client, "ml-10k", tracking_uri)
    with pytest.raises(ConfigError, match=r"'zzz'.*\. Experiments: 'Default', 'ml-100k'$"):
        find_experiment(client, "zzz", tracking_uri)
