"""What tests of several packages share."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import settings

#: How long one example takes says how busy the machine is, not whether the code is right.
settings.register_profile("hbpr", deadline=None, print_blob=True)
settings.load_profile("hbpr")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep on one worker of xdist what shares a Ray: a file, and all of the clusters."""
    for item in items:
        if item.get_closest_marker("ray"):
            shares = item.path.parent if item.path.parent.name == "cluster" else item.path
            item.add_marker(pytest.mark.xdist_group(shares.stem))


@pytest.fixture(autouse=True)
def no_tracking_uri_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes the URI it was last given into the environment of the process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run; making one takes a second, copying it nothing."""
    from hbpr.mlflow_store import open_client

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    open_client(f"sqlite:///{path}")
    return path


@pytest.fixture
def tracking_uri(empty_mlflow: Path, tmp_path: Path) -> str:
    """URI of an MLflow database of the test's own."""
    return _copy(empty_mlflow, tmp_path)


@pytest.fixture(scope="module")
def module_tracking_uri(empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of an MLflow database that the tests of a module share."""
    return _copy(empty_mlflow, tmp_path_factory.mktemp("mlflow"))


def _copy(source_path: Path, folder: Path) -> str:
    path = folder / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(source_path)) as source,
        contextlib.closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
    return f"sqlite:///{path}"
