"""Checkpoints on the driver's disk: what workers send there is there, also for the next worker."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hbpr.errors import HbprError
from tune.storage.folder import StudyFolder
from tune.storage.kept import Checkpoints, KeptInFolder
from tune.storage.opened import Opened
from tune.trial import keeper as module
from tune.trial.keeper import KeptByDriver, for_workers

from ..support.checkpoints import Contract, read, writing

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("shared_ray")]


def storage(folder: Path) -> Opened:
    return Opened(StudyFolder(folder), False, KeptInFolder(folder / "checkpoints"), shared=False)


class Both:
    """The two sides as one: workers load and save, the driver drops and copies."""

    def __init__(self, worker: Checkpoints, driver: KeptInFolder) -> None:
        self.load, self.save = worker.load, worker.save
        self.drop, self.copy = driver.drop, driver.copy


class TestByTheDriver(Contract):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Iterator[Both]:
        with for_workers(storage(tmp_path), alone=False) as worker:
            assert isinstance(worker, KeptByDriver)
            yield Both(worker, KeptInFolder(tmp_path / "checkpoints"))


def test_a_worker_that_is_killed_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    import ray

    def train(kept: Any, *, dies: bool) -> str | None:
        before = read(kept, 7)
        kept.save(7, 4 if before is None else 8, writing("on the disk of the driver"))
        if dies:
            os._exit(1)
        return before

    with for_workers(storage(tmp_path), alone=False) as kept:
        task: Any = ray.remote(max_retries=0)(train)
        with pytest.raises(ray.exceptions.WorkerCrashedError):
            ray.get(task.remote(kept, dies=True))
        whole = tmp_path / "checkpoints" / "trial-00007" / "epoch-0000004"
        assert (whole / "state.json").read_text() == "on the disk of the driver"
        assert ray.get(task.remote(kept, dies=False)) == "on the disk of the driver"
    assert not whole.exists()
    assert (whole.parent / "epoch-0000008").is_dir()


def test_one_that_is_too_large_names_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1024)
    with for_workers(storage(tmp_path), alone=False) as kept:
        with pytest.raises(HbprError, match=r"at most 0 MiB .* Keep the study on\s+s3://"):
            kept.save(7, 2, writing("x" * 2000))
        assert read(kept, 7) is None


def test_on_one_machine_workers_use_the_folder_itself(tmp_path: Path) -> None:
    with for_workers(storage(tmp_path), alone=True) as kept:
        assert isinstance(kept, KeptInFolder)
