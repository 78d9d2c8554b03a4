"""A study whose MLflow server keeps its records in PostgreSQL, a real one of the test's own."""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hbpr.tracking.store import open_client
from tune.settings import StudySettings
from tune.study import run_study

from ..support.server import Server

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.usefixtures("shared_ray")]


@dataclass(frozen=True)
class Postgres:
    """A database on loopback; `ask` returns what psql prints."""

    uri: str
    psql: Path

    def ask(self, query: str) -> list[str]:
        words = [
            str(self.psql),
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            self.uri,
            "-c",
            query,
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return done.stdout.split()


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine")
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("MLflow needs psycopg2 for PostgreSQL: pip install 'hbpr[postgres]'")
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="hbpr-pg-", dir="/tmp"))
    secret = secrets.token_hex(16)
    (folder / "secret").write_text(secret)
    if user:
        for path in (folder, folder / "secret"):
            shutil.chown(path, user)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = [binaries / "initdb", "-U", "mlflow", f"--pwfile={folder}/secret", "-D", folder / "data"]
    subprocess.run(
        [*made, "--auth=scram-sha-256", "-E", "UTF8", "--no-sync"],
        **({"user": user, "group": user} if user else {}),
        cwd=folder,
        capture_output=True,
        check=True,
    )
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *options],
            **({"user": user, "group": user} if user else {}),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    base = f"postgresql://mlflow:{secret}@127.0.0.1:{port}"
    database = Postgres(f"{base}/mlflow", binaries / "psql")
    try:
        _make_database(Postgres(f"{base}/postgres", binaries / "psql"), folder / "log")
        yield database
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for clients
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _make_database(server: Postgres, log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            server.ask("create database mlflow")
        except subprocess.CalledProcessError:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        else:
            return


def test_postgresql_holds_the_records_of_a_study(
    postgres: Postgres, small_study: Callable[..., StudySettings], tmp_path: Path
) -> None:
    # The driver is named, as in the file for docker compose: SQLAlchemy 2.1 takes psycopg 3 else.
    server = Server(tmp_path, postgres.uri.replace("postgresql:", "postgresql+psycopg2:"))
    try:
        server.start()
        result = run_study(small_study(mlflow={"tracking_uri": server.uri}), progress=False)
        trials = "from runs where name like 'trial-%'"
        assert postgres.ask(f"select count(*) {trials}") == ["4"]
        assert postgres.ask(f"select distinct status {trials}") == ["FINISHED"]
        best = postgres.ask(
            "select m.value from metrics m join runs r using (run_uuid) "
            f"where r.name = 'trial-{result.best.number:03d}' and m.key = 'val/ndcg_at_10' "
            "order by m.value desc limit 1"
        )
        assert float(best[0]) == pytest.approx(result.best.value)
        (experiment,) = open_client(server.uri).search_experiments(filter_string="name = 'small'")
        assert experiment.name == "small"
        assert re.fullmatch(r"[1-9]\d*", postgres.ask("select count(*) from params")[0])
    finally:
        server.stop()
