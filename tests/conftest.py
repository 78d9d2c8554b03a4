"""What tests of several packages share."""

import contextlib
import sqlite3
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run; making one takes a second, copying it nothing."""
    from hbpr.mlflow_log import open_client

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    open_client(f"sqlite:///{path}")
    return path


@pytest.fixture
def tracking_uri(empty_mlflow: Path, tmp_path: Path) -> str:
    """URI of an MLflow database of the test's own."""
    path = tmp_path / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(empty_mlflow)) as source,
        contextlib.closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
    return f"sqlite:///{path}"
