"""What the driver notes while trials run, beside the search and the records."""

import shutil
import time
from typing import Any

from ray import tune as ray_tune

from hbpr.names import EVAL_S, TRAIN_S
from tune.storage.folder import StudyFolder
from tune.trial.messages import FAILED
from tune.trial.trainable import trial_folder


class Watch(ray_tune.Callback):
    """Note the time that trials took, and drop what those that ended leave behind.

    Args:
        folder: The study's folder.
        cpus: CPUs of one trial.

    Attributes:
        busy_cpu_s: CPU seconds that trials spent on training and evaluation.
    """

    def __init__(self, folder: StudyFolder, *, cpus: int) -> None:
        self.busy_cpu_s = 0.0
        self._cpus = cpus
        self._folder = folder
        self._first = self._last = 0.0

    @property
    def search_s(self) -> float:
        """Seconds from the start of the first trial to the end of the last."""
        return self._last - self._first

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when trials began to run."""
        self._first = self._first or time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Add up the time."""
        self._last = time.monotonic()
        if FAILED in result:
            return
        self.busy_cpu_s += self._cpus * (result[TRAIN_S] + result[EVAL_S])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Drop what a trial left behind to go on from."""
        number = int(trial.config["trial"])
        shutil.rmtree(trial_folder(self._folder.checkpoints, number), ignore_errors=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when a trial that failed came to its end."""
        self._last = time.monotonic()
