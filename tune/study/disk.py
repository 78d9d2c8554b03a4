"""Faults from outside: a trial that hangs, and a disk that is full or cannot be written to."""

import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune as ray_tune

from hbpr.errors import ConfigError

logger = logging.getLogger(__name__)

#: Free space below which no study starts, and one that runs ends in order.
LEAST_FREE_BYTES = 32 * 2**20
_LOOK_EVERY_S = 1.0
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


class HangGuard(ray_tune.Callback):
    """Kills the process of a trial that has not reported for too long.

    Tune then starts the trial again from its last checkpoint, as after any crash, or fails it.
    It must come before the callbacks that read why a trial failed.

    Args:
        timeout_s: Longest silence, from the moment at which the trial's process is ready.
        tell: Called with the number of a trial whose process was killed.
    """

    def __init__(self, timeout_s: float, tell: Callable[[int], None]) -> None:
        self._timeout_s = timeout_s
        self._tell = tell
        self._heard: dict[str, tuple[float, Any]] = {}
        self._killed: set[str] = set()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Start a trial's clock."""
        self._heard[trial.trial_id] = time.monotonic(), trial
        self._killed.discard(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Start it again."""
        self._heard[trial.trial_id] = time.monotonic(), trial

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget a trial that ended."""
        self._heard.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say why, where it was this guard."""
        self._heard.pop(trial.trial_id, None)
        if trial.trial_id in self._killed:
            with open(trial.error_file, "a") as file:
                file.write(f"Hung: {self._reason()}\n")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for trials that hang."""
        now = time.monotonic()
        for trial_id, (heard, trial) in list(self._heard.items()):
            if now - heard > self._timeout_s:
                del self._heard[trial_id]
                self._kill(trial)

    def _kill(self, trial: Any) -> None:
        import ray

        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        logger.warning(
            "trial %s hangs (%s); its process is killed", trial.config["trial"], self._reason()
        )
        self._killed.add(trial.trial_id)
        self._tell(int(trial.config["trial"]))
        ray.kill(actor)

    def _reason(self) -> str:
        return f"no report in {self._timeout_s:g} s (sweep.faults.trial_timeout_s)"


class DiskGuard(ray_tune.Stopper):
    """Stops the search before the disk of the study's folder is full.

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


def failure_notes(errors: Mapping[int, str]) -> list[str]:
    """Return in words how many trials failed and why the first did; empty where none failed.

    Example:
        >>> failure_notes({7: "DivergedError: epoch 1", 3: "OSError: gone"})
        ['2 trials failed; the first, trial 3: OSError: gone']
        >>> failure_notes({3: "OSError: gone"})
        ['trial 3 failed: OSError: gone']
    """
    if not errors:
        return []
    first = min(errors)
    if len(errors) == 1:
        return [f"trial {first} failed: {errors[first]}"]
    return [f"{len(errors)} trials failed; the first, trial {first}: {errors[first]}"]


def restart_notes(n_restarts: int, n_hangs: int) -> list[str]:
    """Return in words what happened to trials' processes and was made good.

    Example:
        >>> restart_notes(2, 0)
        ["crashes of a trial's process made good: 2"]
    """
    notes = []
    if n_restarts:
        notes.append(f"crashes of a trial's process made good: {n_restarts}")
    if n_hangs:
        notes.append(f"processes of trials that hung and were killed: {n_hangs}")
    return notes


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
