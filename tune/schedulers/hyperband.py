"""Hyperband without waiting."""

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tune.schedulers.base import SchedulerContext
from tune.schedulers.halving import HalvingSettings

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


class HyperbandSettings(HalvingSettings):
    """Asynchronous Hyperband: successive halving that gives some trials a longer grace period."""

    kind: Literal["hyperband"] = Field(
        "hyperband", description="As asha, and some trials have a longer grace period."
    )

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return the context's searcher, and a rule with a bracket for each grace period."""
        from tune.schedulers.ray_halving import halving

        grace_period = min(self.grace_period, context.max_epochs)
        halvings = math.log(context.max_epochs / grace_period, self.reduction_factor)
        brackets = int(halvings + 1e-9) + 1
        return context.searcher, halving(self, context, needed=1, brackets=brackets)
