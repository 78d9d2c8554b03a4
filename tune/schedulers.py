"""What stops trials early: Ray Tune's schedulers, with epochs as their clock.

A step of a trial is one evaluation period, so reports jump by several epochs; a rule that acts at
epoch 9 acts at the first report from there on. Nothing here is random: ASHA has one bracket, since
Ray draws brackets from numpy's global generator.
"""

import math
from typing import Any

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from tune.settings import SchedulerSettings

#: Key of a result that schedulers take for the time.
CLOCK = "epoch"
#: Other trials that the median rule needs before it stops one.
_MEDIAN_OF = 3


def make_scheduler(
    settings: SchedulerSettings, *, metric: str, max_epochs: int, mode: str = "max"
) -> TrialScheduler:
    """Return the scheduler of a study.

    Args:
        settings: Its kind and options.
        metric: Key of a result that is compared.
        max_epochs: Epochs of the longest trial; a grace period above it counts as it.
        mode: ``max`` or ``min``.
    """
    watched: dict[str, Any] = {"time_attr": CLOCK, "metric": metric, "mode": mode}
    grace_period = min(settings.grace_period, max_epochs)
    if settings.kind == "asha":
        return AsyncHyperBandScheduler(
            max_t=max_epochs,
            grace_period=grace_period,
            reduction_factor=settings.reduction_factor,
            brackets=1,
            **watched,
        )
    if settings.kind == "median":
        watched["min_time_slice"] = math.inf  # never pause a trial to gather samples
        return _MedianRule(grace_period=grace_period, min_samples_required=_MEDIAN_OF, **watched)
    if settings.kind == "hyperband":
        return HyperBandScheduler(
            max_t=max_epochs, reduction_factor=settings.reduction_factor, **watched
        )
    return FIFOScheduler()


def pauses_trials(settings: SchedulerSettings) -> bool:
    """Whether trials are paused until others have caught up.

    Paused trials count as concurrent for Ray's ``max_concurrent_trials``: with that limit hyperband
    compares only as many trials as run at a time, so leave the limit out.
    """
    return settings.kind == "hyperband"


class _MedianRule(MedianStoppingRule):
    """Ray's rule, safe against trials that end on a result without the metric.

    Ray's own keeps such a result and raises KeyError in the next trial's comparison. It also keeps
    the last result of a stopped trial twice.
    """

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result of a trial if it holds a value that is not kept yet."""
        known = self._results[trial][-1] if self._results[trial] else {}
        if self._metric in result and known.get(CLOCK) != result[CLOCK]:
            super().on_trial_complete(tune_controller, trial, result)
        if not self._results[trial]:
            del self._results[trial]
