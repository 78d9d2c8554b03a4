"""What the tests of studies share: small settings, one private Ray a module, a look at records."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
