"""A trial that hangs: its process is killed, and the trial is tried again."""

import logging
import time
from collections.abc import Callable
from typing import Any

from ray import tune as ray_tune

from tune.trial.messages import Result, number_of

logger = logging.getLogger(__name__)


class HangGuard(ray_tune.Callback):
    """Kills the process of a trial that has not reported for too long.

    Tune then starts the trial again from its last checkpoint, as after any crash, or fails it.
    It must come before the callbacks that read why a trial failed.

    Args:
        timeout_s: Longest silence, from the moment at which the trial's process is ready.
        on_kill: Called with the number of a trial whose process was killed.
    """

    def __init__(self, timeout_s: float, on_kill: Callable[[int], None]) -> None:
        self._timeout_s = timeout_s
        self._on_kill = on_kill
        self._heard: dict[str, tuple[float, Any]] = {}
        self._killed: set[str] = set()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Start a trial's clock."""
        self._heard[trial.trial_id] = time.monotonic(), trial
        self._killed.discard(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
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
            "trial %s hangs (%s); its process is killed", number_of(trial), self._reason()
        )
        self._killed.add(trial.trial_id)
        self._on_kill(number_of(trial))
        ray.kill(actor)

    def _reason(self) -> str:
        return f"no report in {self._timeout_s:g} s (sweep.faults.trial_timeout_s)"
