"""A scheduler from outside, as CONTRIBUTING.md shows it."""

from typing import Any, Literal

from pydantic import Field
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune.schedulers import SCHEDULERS, SchedulerContext, SchedulerSettings


class Floor(FIFOScheduler):
    def __init__(self, settings: "FloorSettings", metric: str) -> None:
        super().__init__()
        self.floor, self.watched = settings, metric

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        judged = result["epoch"] == self.floor.epoch and self.watched in result
        low = judged and result[self.watched] < self.floor.value
        return TrialScheduler.STOP if low else TrialScheduler.CONTINUE


class FloorSettings(SchedulerSettings):
    """A trial ends that is below a fixed value after some epochs."""

    kind: Literal["floor"] = "floor"
    epoch: int = Field(5, ge=1, description="Epoch after which trials are judged.")
    value: float = Field(0.1, description="What they must have reached.")

    def evaluate_at(self, max_epochs: int) -> tuple[int, ...]:
        return (self.epoch,)

    def make(self, context: SchedulerContext) -> tuple[Any, TrialScheduler]:
        return context.searcher, Floor(self, context.metric)


SCHEDULERS.add(FloorSettings)
