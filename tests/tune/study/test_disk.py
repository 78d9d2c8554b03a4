import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from hbpr.errors import ConfigError
from tune.study import disk
from tune.study.disk import DiskGuard, check_writable, disk_problem


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_disk_is_looked_at_now_and_then(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    free = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free[0]))
    guard = DiskGuard(tmp_path)
    free[0] = 2**20
    assert not guard.stop_all()
    clock[0] = 2.0
    assert guard.stop_all()
    assert guard.problem == "1 MiB are free, and 32 are needed"
    with pytest.raises(ConfigError, match="nearly full: 1 MiB are free"):
        check_writable(tmp_path)


def test_a_folder_that_cannot_be_written_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(disk.tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(ConfigError, match=r"cannot be written to \(Read-only file system\)"):
        check_writable(tmp_path)


def test_an_error_of_the_disk_is_found_behind_others() -> None:
    error = RuntimeError("search failed")
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal.log")
    assert disk_problem(error) == "No space left on device: journal.log"
    assert disk_problem(FileNotFoundError(errno.ENOENT, "?")) is None
    assert disk_problem(ValueError()) is None
