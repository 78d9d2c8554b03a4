"""What tests of studies share: small settings, one private Ray a module, processes, records."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hbpr.errors import TrackingError
from hbpr.mlflow_store import open_client
from tune.settings import StudySettings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from tune.recorder import MlflowRecorder

#: Seconds to wait for what takes a few: a machine that is shared may be twenty times slower.
PATIENCE_S = 240.0


@pytest.fixture(scope="session")
def study_in() -> Callable[..., StudySettings]:
    """Settings of a study of seconds in a folder; arguments are laid over its sections."""

    def make(folder: Path, sweep: dict[str, Any] | None = None, **sections: Any) -> StudySettings:
        settings: dict[str, Any] = {
            "data": {
                "source": "synthetic",
                "synthetic": {"n_users": 80, "n_items": 50, "n_shown": 25},
            },
            "training": {"n_iter": 4, "eval_every": 2, "early_stopping_patience": 0},
            "mlflow": {
                "experiment_name": "small",
                "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
            },
            "sweep": {
                "scheduler": {"kind": "none"},
                "num_trials": 4,
                "max_concurrent": 1,  # each process for trials costs seconds
                "space": {
                    "model.n_latent": [4, 8],
                    "optimizer.lr": {"low": 0.01, "high": 0.5, "log": True},
                },
                "storage": str(folder / "studies"),
            }
            | (sweep or {}),
        }
        for name, section in sections.items():
            settings[name] = settings.get(name, {}) | section
        return StudySettings.model_validate(settings)

    return make


@pytest.fixture
def small_study(
    tmp_path: Path, study_in: Callable[..., StudySettings]
) -> Callable[..., StudySettings]:
    """The same in the test's own folder."""
    return partial(study_in, tmp_path)


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[None]:
    """One private Ray for the studies of a module; a study uses a Ray that is there."""
    from tune.runtime import ray_runtime

    with ray_runtime(cpus=2):
        yield


@pytest.fixture(scope="package", autouse=True)
def _quiet_draws() -> Iterator[None]:
    """Optuna notes no trials, as in a study."""
    import optuna

    from tune.journal import quiet_optuna

    before = optuna.logging.get_verbosity()
    quiet_optuna()
    yield
    optuna.logging.set_verbosity(before)


class Program:
    """`hbpr` and `python -m tune` as in a terminal: processes of their own, in a folder."""

    HBPR = ("-c", "from hbpr.cli.main import main; main()")
    TUNE = ("-m", "tune")

    def start(
        self, folder: Path, *words: str, program: tuple[str, str] = HBPR
    ) -> "subprocess.Popen[str]":
        """Start it as the leader of a process group, as a terminal does."""
        return subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
        """Wait for its end; return what it said on stdout and on stderr."""
        with process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, out + err
        assert "Traceback" not in out + err
        return out, err

    def run(
        self, folder: Path, *words: str, code: int = 0, program: tuple[str, str] = HBPR
    ) -> tuple[str, str]:
        """Start it and wait for its end."""
        return self.end(self.start(folder, *words, program=program), code)

    def wait_until(self, ready: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
        """Look again and again until something is so, while the process runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if process.poll() is not None:
                pytest.fail("it ended by itself:\n" + "".join(process.communicate()))
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                pytest.fail("it did not come so far:\n" + "".join(process.communicate()))
            time.sleep(0.01)


@pytest.fixture(scope="session")
def terminal() -> Program:
    """What starts programs."""
    return Program()


@pytest.fixture(scope="session")
def runs_in() -> Callable[[Path], dict[str, str]]:
    """Name -> status of all MLflow runs of a folder's database."""

    def read(folder: Path) -> dict[str, str]:
        if not os.path.exists(folder / "mlflow.db"):
            return {}
        with sqlite3.connect(folder / "mlflow.db") as database:
            rows = database.execute("select name, status from runs").fetchall()
        names = dict(rows)
        assert len(names) == len(rows), f"a run was recorded twice: {rows}"
        return names

    return read


@pytest.fixture
def runs(tmp_path: Path, runs_in: Callable[[Path], dict[str, str]]) -> Callable[[], dict[str, str]]:
    """The same of the test's own folder."""
    return partial(runs_in, tmp_path)


@dataclass
class ToldTrial:
    """What the recorder reads of a Ray trial."""

    number: int
    status: str = "RUNNING"
    last_result: dict[str, Any] = field(default_factory=dict)
    error_file: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        values = {"optimizer.lr": 0.1 / (self.number + 1), "model.hidden": [8, 4]}
        return {"trial": self.number, "values": values}


class Recording:
    """A study without Ray: recorders of it are told of its trials, and its runs are read back."""

    MONITOR = "val/ndcg_at_10"

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder / "study", uri

    @property
    def client(self) -> "MlflowClient":
        return open_client(self.uri)

    def recorder(self, uri: str | None = None) -> "MlflowRecorder":
        """A recorder of the study, as each sitting makes one."""
        from tune.recorder import MlflowRecorder

        uri = uri or self.uri
        settings = {
            "mlflow": {"tracking_uri": uri},
            "sweep": {"space": {"optimizer.lr": [0.1], "model.hidden": [[8, 4]]}},
        }
        return MlflowRecorder(
            self.folder,
            tracking_uri=uri,
            experiment_name="films",
            study_id="s1",
            study_name="study s1",
            settings=settings,
        )

    def trial(self, number: int, **about: Any) -> ToldTrial:
        """A trial as Ray tells of it."""
        return ToldTrial(number, **about)

    def report(
        self, recorder: "MlflowRecorder", trial: ToldTrial, epoch: int, value: float, **more: Any
    ) -> None:
        """Tell of one evaluation."""
        trial.last_result = {
            "epoch": epoch,
            "train/loss": 1.0 / epoch,
            "time/train_s": 0.1,
            self.MONITOR: value,
            "pid": 17,
            "config/optimizer.lr": 0.1,
            "finished": False,
        } | more
        recorder.on_trial_result(0, [], trial, trial.last_result)

    def play(
        self, recorder: "MlflowRecorder", number: int, values: list[float], *, finished: bool
    ) -> None:
        """Start a trial, report every fifth epoch, and complete it."""
        trial = self.trial(number)
        recorder.on_trial_start(0, [], trial)
        for i, value in enumerate(values, 1):
            self.report(recorder, trial, 5 * i, value, finished=finished and i == len(values))
        recorder.on_trial_complete(0, [], trial)

    def runs(self) -> "dict[str, Run]":
        """The study's runs by name."""
        experiment = self.client.get_experiment_by_name("films")
        assert experiment is not None
        runs = self.client.search_runs(
            [experiment.experiment_id], "tags.`hbpr.study_id` = 's1'", max_results=5000
        )
        names = [run.info.run_name for run in runs]
        assert len(set(names)) == len(names), "a run twice"
        return dict(zip(names, runs, strict=True))

    def steps(self, run: "Run", metric: str = MONITOR) -> list[int]:
        """The epochs at which a run has a metric."""
        return [point.step for point in self.client.get_metric_history(run.info.run_id, metric)]


@pytest.fixture
def recording(tmp_path: Path, tracking_uri: str) -> Recording:
    """A study to be recorded in the test's own folder and database."""
    return Recording(tmp_path, tracking_uri)


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


@pytest.fixture
def server(tmp_path: Path, tracking_uri: str) -> Iterator[Server]:
    """A server over the test's own database."""
    server = Server(tmp_path)
    try:
        yield server
    finally:
        server.stop()
