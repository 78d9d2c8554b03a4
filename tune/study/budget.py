"""What ends a search before all its trials have run: time, a good enough value, a plateau."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune as ray_tune

from hbpr.files import write_json
from hbpr.tracking.records import TrialRecord
from tune.settings import BudgetSettings
from tune.settings.goals import Goals
from tune.trial.messages import Result, best_of, number_of, seconds_of

#: Seconds of which a killed driver may forget that they were spent.
_SAVE_EVERY_S = 10.0


class Budget(ray_tune.Callback, ray_tune.Stopper):
    """Counts what a study has spent, over all its sittings, and says when that is enough.

    Args:
        settings: The limits.
        path: File that keeps the seconds that were spent.
        before: Trials of earlier sittings.
        goals: What trials are compared by: the target is a value of the first objective, inside of
            all limits.
    """

    def __init__(
        self,
        settings: BudgetSettings,
        path: Path,
        *,
        before: Sequence[TrialRecord] = (),
        goals: Goals,
    ) -> None:
        self._settings, self._path, self._goals = settings, path, goals
        self._wall_s, self._train_s = _read(path)
        self._train_s_before = self._train_s
        self._since: float | None = None
        self._saved = time.monotonic()
        self._best: float | None = None
        self._best_trial: int | None = None
        self._without_best = 0
        for trial in before:
            if trial.value is not None and goals.feasible(trial.at_best):
                self._note_value(trial.number, trial.value)
            if trial.state == "FAIL" or (trial.state != "RUNNING" and trial.reports):
                self._note_end(trial.number)  # not one that a budget ended before it said anything
        self._reached: str | None = None

    @property
    def wall_s(self) -> float:
        """Seconds in which trials ran, those of earlier sittings included."""
        return self._wall_s + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def sitting_train_s(self) -> float:
        """Seconds of training and evaluation of all trials in this sitting."""
        return self._train_s - self._train_s_before

    @property
    def reached(self) -> str | None:
        """The limit that was reached first, in words; None while there is none."""
        self._reached = self._reached or self._limit()
        return self._reached

    def _limit(self) -> str | None:
        limits = self._settings
        if limits.wall_s is not None and self.wall_s >= limits.wall_s:
            return f"sweep.budget.wall_s: trials ran for {limits.wall_s:g} s"
        if limits.train_s is not None and self._train_s >= limits.train_s:
            return f"sweep.budget.train_s: {limits.train_s:g} s of training and evaluation"
        if limits.target is not None and self._best is not None and self._best >= limits.target:
            return (
                f"sweep.budget.target: {self._goals.objectives[0].metric} reached {limits.target:g}"
            )
        if limits.plateau is not None and self._without_best >= limits.plateau:
            return f"sweep.budget.plateau: {self._without_best} trials without a new best value"
        return None

    def save(self) -> None:
        """Write down what was spent."""
        self._saved = time.monotonic()
        write_json(self._path, {"wall_s": self.wall_s, "train_s": self._train_s})

    # What Tune asks after every step.

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search should end."""
        return self.reached is not None

    # Callbacks of Tune.

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Start the clock."""
        if self._since is None:
            self._since = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Add up the time and keep the best value."""
        self._train_s += seconds_of(result)
        value = best_of(result, self._goals)
        if value is not None:
            self._note_value(number_of(trial), value)
        if time.monotonic() - self._saved >= _SAVE_EVERY_S:
            self.save()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that ended."""
        self._note_end(number_of(trial))
        self.save()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that failed."""
        self.on_trial_complete(iteration, trials, trial)

    def _note_value(self, number: int, value: float) -> None:
        if self._best is None or value > self._best:
            self._best, self._best_trial, self._without_best = value, number, 0

    def _note_end(self, number: int) -> None:
        self._without_best += number != self._best_trial


def _read(path: Path) -> tuple[float, float]:
    try:
        spent = json.loads(path.read_text())
    except FileNotFoundError:
        return 0.0, 0.0
    return float(spent["wall_s"]), float(spent["train_s"])
