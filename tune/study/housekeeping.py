"""What the driver does on the side while trials run: their time, their leftovers, Tune's memory."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ray import tune as ray_tune

from tune.trial.messages import Result, number_of


class Housekeeping(ray_tune.Callback):
    """Notes for how long trials run, and drops what those that ended leave behind.

    Args:
        drop: Removes the checkpoints of a trial, given its number.
    """

    def __init__(self, drop: Callable[[int], None]) -> None:
        self._drop = drop
        self._first = self._last = 0.0

    @property
    def heard(self) -> bool:
        """Whether a trial has reported."""
        return self._last > 0

    @property
    def search_s(self) -> float:
        """Seconds from the start of the first trial to the end of the last."""
        return self._last - self._first

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when trials began to run."""
        self._first = self._first or time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Note when a trial was heard of last."""
        self._last = time.monotonic()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Drop what a trial left behind to go on from."""
        self._drop(number_of(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when a trial that failed came to its end."""
        self._last = time.monotonic()


class ForgetEnded(ray_tune.Callback):
    """Takes trials that have ended off Tune's list: the thousandth is then as cheap as the first.

    Tune walks through that list at every step, and keeps the last ten values of every number that
    each trial ever reported. A study needs none of it: what a trial did is in the journal and in
    the records by then. So it has to come after all callbacks that read how a trial ended.

    A trial that Tune stopped without telling how it ended stays, and so does the last one that did:
    with an empty list Tune would read its own snapshot back at the end.
    """

    def __init__(self) -> None:
        self._ended: deque[Any] = deque()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that ended; Tune still works on it."""
        self._ended.append(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that crashed once too often."""
        self._ended.append(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Forget all trials that have ended but the last one.

        Args:
            iteration: Steps so far.
            trials: Tune's own list, not a copy of it.
            **info: Further arguments of Tune.
        """
        while len(self._ended) > 1:
            trial = self._ended.popleft()
            if trial.is_finished() and trial in trials:  # else Tune tries it again
                trials.remove(trial)
                trial.run_metadata.metric_analysis = {}
                trial.run_metadata.metric_n_steps = {}
