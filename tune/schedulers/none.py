"""No rule."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tune.schedulers.base import SchedulerContext, SchedulerSettings

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


class NoneSettings(SchedulerSettings):
    """Every trial runs to its end."""

    kind: Literal["none"] = Field("none", description="Every trial runs to its end.")

    compares_one_metric: ClassVar[bool] = False

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return the context's searcher, and what stops nothing."""
        from ray.tune.schedulers import FIFOScheduler

        return context.searcher, FIFOScheduler()
