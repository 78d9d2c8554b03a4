"""An MLflow server as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from hbpr.errors import TrackingError
from hbpr.tracking.store import open_client

from .program import PATIENCE_S


class Server:
    """A real MLflow server on loopback, started and ended by its id.

    Args:
        folder: Of its artifacts and, where `store` is not given, its database.
        store: Database; None: ``mlflow.db`` in the folder.
    """

    def __init__(self, folder: Path, store: str | None = None) -> None:
        self.store = store or f"sqlite:///{folder}/mlflow.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server"),
                f"--backend-store-uri={self.store}",
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
        deadline = time.monotonic() + PATIENCE_S
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
