"""What the tests of studies share: small settings, one private Ray a module, a look at records."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hbpr.errors import TrackingError
from hbpr.mlflow_store import open_client
from tune.settings import StudySettings

SMALL_DATA = {"source": "synthetic", "synthetic": {"n_users": 80, "n_items": 50, "n_shown": 25}}


@pytest.fixture
def small_study(tmp_path: Path) -> Callable[..., StudySettings]:
    """Settings of a study of seconds; arguments are laid over its sections."""

    def make(sweep: dict[str, Any] | None = None, **sections: Any) -> StudySettings:
        settings: dict[str, Any] = {
            "data": SMALL_DATA,
            "training": {"n_iter": 4, "eval_every": 2, "early_stopping_patience": 0},
            "mlflow": {
                "experiment_name": "small",
                "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
            },
            "sweep": {
                "scheduler": {"kind": "none"},
                "num_trials": 4,
                "space": {
                    "model.n_latent": [4, 8],
                    "optimizer.lr": {"low": 0.01, "high": 0.5, "log": True},
                },
                "storage": str(tmp_path / "studies"),
            }
            | (sweep or {}),
        }
        for name, section in sections.items():
            settings[name] = settings.get(name, {}) | section
        return StudySettings.model_validate(settings)

    return make


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[None]:
    """One private Ray for the studies of a module; a study uses a Ray that is there."""
    from tune.runtime import ray_runtime

    with ray_runtime(cpus=2):
        yield


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """Name -> status of all MLflow runs."""

    def read() -> dict[str, str]:
        if not os.path.exists(tmp_path / "mlflow.db"):
            return {}
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            rows = database.execute("select name, status from runs").fetchall()
        names = dict(rows)
        assert len(names) == len(rows), f"a run was recorded twice: {rows}"
        return names

    return read


class Server:
    """A real MLflow server on loopback, started and ended by its id."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                Path(sys.executable).parent / "mlflow",
                "server",
                f"--backend-store-uri=sqlite:///{self.folder}/mlflow.db",
                f"--artifacts-destination={self.folder}/artifacts",
                "--host=127.0.0.1",
                f"--port={self.port}",
                "--workers=1",
            ],
            env=os.environ
            | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                open_client(self.uri)
            except TrackingError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError(self.uri)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, tracking_uri: str) -> Iterator[Server]:
    """A server over the test's own database."""
    server = Server(tmp_path)
    try:
        yield server
    finally:
        server.stop()
