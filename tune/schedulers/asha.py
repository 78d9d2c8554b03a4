"""Asynchronous successive halving."""

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tune.schedulers.base import SchedulerContext
from tune.schedulers.halving import HalvingSettings

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


class AshaSettings(HalvingSettings):
    """Asynchronous successive halving: nobody waits for the others."""

    kind: Literal["asha"] = Field("asha", description="One of reduction_factor trials goes on.")

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return the context's searcher, and a rule with one bracket."""
        from tune.schedulers.ray_halving import halving

        factor = math.ceil(self.reduction_factor)
        waits = not context.given and context.n_trials >= factor**3
        return context.searcher, halving(self, context, needed=factor if waits else 1, brackets=1)
