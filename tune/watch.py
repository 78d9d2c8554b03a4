"""What the driver notes while trials run, beside the search and the records."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from ray import tune as ray_tune

from hbpr.names import EVAL_S, TRAIN_S
from tune.folder import StudyFolder, write_json
from tune.trainable import FAILED, trial_folder


class Watch(ray_tune.Callback):
    """Note the metrics of the best trial, the time that trials took, and the first failure.

    Args:
        folder: The study's folder.
        cpus: CPUs of one trial.

    Attributes:
        busy_cpu_s: CPU seconds that trials spent on training and evaluation.
        failure: Why the first trial that failed did so, or None.
    """

    def __init__(self, folder: StudyFolder, *, cpus: int) -> None:
        self.busy_cpu_s = 0.0
        self.failure: str | None = None
        self._cpus = cpus
        self._folder = folder
        self._best = _read_best(folder.best)
        self._metrics: dict[int, dict[str, float]] = {}
        self._first = self._last = 0.0

    @property
    def search_s(self) -> float:
        """Seconds from the start of the first trial to the end of the last."""
        return self._last - self._first

    def best_metrics(self, number: int) -> dict[str, float]:
        """Validation metrics of a trial at its best epoch, if it is the best that was seen."""
        metrics: dict[str, float] = self._best["metrics"] if self._best["trial"] == number else {}
        return metrics

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when trials began to run."""
        self._first = self._first or time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Add up the time, and keep the metrics of the trial's best epoch."""
        self._last = time.monotonic()
        if FAILED in result:
            self.failure = self.failure or result[FAILED]
            return
        self.busy_cpu_s += self._cpus * (result[TRAIN_S] + result[EVAL_S])
        if result["best_epoch"] == result["epoch"]:
            self._metrics[trial.config["trial"]] = {
                name: value for name, value in result.items() if name.startswith("val/")
            }

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Keep the metrics of the best trial; what a trial left behind to go on from is dropped."""
        result, number = trial.last_result or {}, int(trial.config["trial"])
        metrics = self._metrics.pop(number, None)
        shutil.rmtree(trial_folder(self._folder.checkpoints, number), ignore_errors=True)
        value = result.get("best_value")
        better = value is not None and (self._best["value"] is None or value > self._best["value"])
        if metrics and better and result.get("finished"):
            self._best = {"trial": number, "value": value, "metrics": metrics}
            write_json(self._folder.best, self._best)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Keep the reason of the first failure."""
        self._last = time.monotonic()
        self._metrics.pop(int(trial.config["trial"]), None)
        self.failure = self.failure or last_line(trial)


def last_line(trial: Any) -> str:
    """Return the last line of the traceback of a trial that crashed."""
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the trial's process ended without a message"


def _read_best(path: Path) -> dict[str, Any]:
    try:
        best: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {"trial": None, "value": None, "metrics": {}}
    return best
