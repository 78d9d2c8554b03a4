"""A rule for each kind of model: trials of different kinds are not compared on their way.

What a kind is worth after so many epochs says nothing of another one: EASE is at its end after its
only report, where a factorization has hardly begun.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tune.schedulers.replayed import Rule


class FamiliesApart:
    """Passes reports to the rule of a trial's own kind of model.

    Args:
        make_rule: Makes the rule of one kind.

    Attributes:
        rules: Rule of each kind; of None, where the kind is not searched.
    """

    def __init__(self, make_rule: Callable[[], Rule]) -> None:
        self.rules: defaultdict[str | None, Rule] = defaultdict(make_rule)

    def _of(self, trial: Any) -> Rule:
        return self.rules[trial.family]

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report of an earlier sitting; return what is decided on it."""
        return self._of(trial).remember(trial, result)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial in."""
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report; return whether the trial goes on."""
        return self._of(trial).on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Note that a trial ended."""
        self._of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Note that a trial ended while it did not run."""
        self._of(trial).on_trial_remove(tune_controller, trial)
