"""The median rule inside Ray Tune, with epochs as its clock."""

import math
from typing import Any, Self

from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

from tune.schedulers.base import CLOCK


class MedianRule(MedianStoppingRule):
    """Ray's rule, safe against trials that end on a result without the metric.

    Ray's own keeps such a result and raises KeyError in the next trial's comparison. It also keeps
    the last result of a stopped trial twice.
    """

    @classmethod
    def of(cls, *, metric: str, grace_period: int, min_samples_required: int) -> Self:
        """Return the rule for a metric that is better when higher; it never pauses a trial."""
        never: Any = math.inf  # else trials are paused to gather samples
        return cls(
            time_attr=CLOCK,
            metric=metric,
            mode="max",
            grace_period=grace_period,
            min_samples_required=min_samples_required,
            min_time_slice=never,
        )

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Keep a report of an earlier sitting; the median of that moment is not known any more."""
        self._results[trial].append(result)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result of a trial if it holds a value that is not kept yet."""
        known = self._results[trial][-1] if self._results[trial] else {}
        if self._metric in result and known.get(CLOCK) != result[CLOCK]:
            super().on_trial_complete(tune_controller, trial, result)
        if not self._results[trial]:
            del self._results[trial]
