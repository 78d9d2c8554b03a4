"""The disk of a study: looked at before and while it runs, and what an error of it is in words."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hbpr.errors import ConfigError

#: Free space below which no study starts, and one that runs ends in order.
LEAST_FREE_BYTES = 32 * 2**20
_LOOK_EVERY_S = 1.0
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


class DiskGuard:
    """Stops the search before the disk of the study's folder is full; Tune asks it, as any stopper.

    Attributes:
        problem: What is wrong, in words; None while nothing is.
    """

    def __init__(self, folder: Path) -> None:
        self.problem: str | None = None
        self._folder = folder
        self._looked = time.monotonic()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial."""
        return False

    def stop_all(self) -> bool:
        """Look at the disk, once in a while."""
        now = time.monotonic()
        if self.problem is None and now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self.problem = short_of_space(self._folder)
        return self.problem is not None


class LostGuard:
    """Stops the search of a driver that lost its study to another; Tune asks it, as any stopper.

    Args:
        lost: Returns why the driver must stop; None while it need not.

    Attributes:
        problem: Why it must stop.
    """

    def __init__(self, lost: Callable[[], str | None]) -> None:
        self.problem: str | None = None
        self._lost = lost

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether the study is lost."""
        self.problem = self.problem or self._lost()
        return self.problem is not None


def short_of_space(folder: Path) -> str | None:
    """Return what is wrong with the free space for a folder, or None."""
    free = shutil.disk_usage(folder).free
    if free >= LEAST_FREE_BYTES:
        return None
    return f"{free / 2**20:.0f} MiB are free, and {LEAST_FREE_BYTES / 2**20:.0f} are needed"


def check_writable(folder: Path) -> None:
    """Make a folder and try to write in it.

    Raises:
        ConfigError: It cannot be made or written to, or its disk is nearly full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"sweep.storage: the folder {folder} cannot be made ({error.strerror or error}); name "
            "one that can be written to"
        ) from error
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-") as file:
            file.write(b"0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            f"sweep.storage: the folder {folder} cannot be written to "
            f"({error.strerror or error}); name one that can"
        ) from error
    problem = short_of_space(folder)
    if problem is not None:
        raise ConfigError(
            f"sweep.storage: the disk of {folder} is nearly full: {problem}. Free some space, or "
            "name a folder on another disk"
        )


def disk_problem(error: BaseException) -> str | None:
    """Return in words why a file could not be written, if that is what an error comes from."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _DISK_ERRORS:
            where = f": {each.filename}" if each.filename else ""
            return f"{each.strerror or each}{where}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
