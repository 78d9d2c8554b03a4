"""The median rule."""

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from tune.schedulers.base import SchedulerContext, SchedulerSettings, growing_epochs

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

#: Other trials that the rule needs before it stops one.
_MEDIAN_OF: Final = 3


class MedianSettings(SchedulerSettings):
    """A trial ends whose best value is below the median of the others' means."""

    kind: Literal["median"] = Field("median", description="Trials below the median end.")
    grace_period: int = Field(
        5, ge=1, description="Epochs that every trial may run before it can be stopped."
    )

    short_form: ClassVar[tuple[str, ...]] = ("grace_period",)

    def decision_epochs(self, max_epochs: int) -> list[int]:
        """Return the grace period and its doubles; it decides at every report from there on."""
        return growing_epochs(self.grace_period, 2.0, max_epochs)

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return the context's searcher, and the rule."""
        from tune.schedulers.families import FamiliesApart
        from tune.schedulers.ray_median import MedianRule
        from tune.schedulers.replayed import EachReportOnce

        def rule() -> MedianRule:
            return MedianRule.of(
                metric=context.metric,
                grace_period=min(self.grace_period, context.max_epochs),
                min_samples_required=_MEDIAN_OF,
            )

        apart = FamiliesApart(rule)
        return context.searcher, EachReportOnce(apart, context.metric, context.before)
