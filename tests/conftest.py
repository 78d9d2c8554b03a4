"""What tests of several packages share."""

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path, PurePath

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: How long one example takes says how busy the machine is, not whether the code is right.
settings.register_profile("hbpr", deadline=None, print_blob=True)
settings.load_profile("hbpr")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order what is run so that two workers end together, the longest first.

    What shares the Ray of `tests/tune` comes last, as others may start a Ray of their own.
    """
    shared = Counter(
        item.path
        for item in items
        if item.get_closest_marker("ray") and "shared_ray" in getattr(item, "fixturenames", ())
    )

    def turn(item: pytest.Item) -> tuple[int, int]:
        if not item.get_closest_marker("ray"):
            return 0, item.get_closest_marker("slow") is None
        return (2, -shared[item.path]) if shared[item.path] else (1, 0)

    items.sort(key=turn)


class TogetherOnOneRay(LoadScopeScheduling):
    """Keeps on one worker of xdist what shares a Ray: a file, and all of the clusters.

    xdist 3.8 itself loses its groups with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = PurePath(nodeid.split("::")[0])
        return str(path.parent if path.parent.name == "cluster" else path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Distribute by Ray where groups are asked for."""
    return TogetherOnOneRay(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(autouse=True)
def no_tracking_uri_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes the URI it was last given into the environment of the process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run; making one takes a second, copying it nothing."""
    from hbpr.tracking.store import open_client

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
