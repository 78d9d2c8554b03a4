"""What tests of studies share: small settings, one private Ray, processes, records."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tune.settings import StudySettings

from ..support.store import BUCKET, Store, running_store
from .support.program import Program
from .support.recording import Recording
from .support.server import Server


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


@pytest.fixture(scope="package")
def shared_ray() -> Iterator[None]:
    """One private Ray for the studies of all modules; a study uses a Ray that is there."""
    from cluster.connect.ray import ray_runtime

    with ray_runtime(cpus=2):
        yield


@pytest.fixture(scope="package", autouse=True)
def _quiet_draws() -> Iterator[None]:
    """Optuna notes no trials, as in a study."""
    import optuna

    from tune.storage.journal import quiet_optuna

    before = optuna.logging.get_verbosity()
    quiet_optuna()
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture(scope="module")
def _object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(_object_store: Store) -> Iterator[Store]:
    """An S3 server with an empty bucket."""
    yield _object_store
    for key in list(_object_store.objects()):  # of a bucket
        _object_store.client.delete_object(Bucket=BUCKET, Key=key)


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


@pytest.fixture
def recording(tmp_path: Path, tracking_uri: str) -> Recording:
    """A study to be recorded in the test's own folder and database."""
    return Recording(tmp_path, tracking_uri)


@pytest.fixture
def server(tmp_path: Path, tracking_uri: str) -> Iterator[Server]:
    """A server over the test's own database."""
    server = Server(tmp_path)
    try:
        yield server
    finally:
        server.stop()
