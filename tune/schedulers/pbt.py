"""Population-based training: its settings, and the studies that it can serve."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hbpr.errors import SpaceError
from tune.schedulers.base import Planned, SchedulerContext, SchedulerSettings
from tune.schedulers.population import CHANGEABLE
from tune.space.domains import Choice

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from tune.space import Space


class PbtSettings(SchedulerSettings):
    """The worst of a population end, and copies of the best begin with other settings.

    It has no epochs at which it stops trials for good: settings change on the way, so that the
    order of its trials at the end is not the order of the settings that they had early.
    """

    kind: Literal["pbt"] = Field(
        "pbt",
        description="The worst are replaced by copies of the best with other learning rates and "
        "regularisation.",
    )
    interval: int = Field(10, ge=1, description="Epochs between two comparisons of all trials.")
    quantile: float = Field(
        0.25, gt=0.0, le=0.5, description="Share of trials that copies replace each time."
    )

    trials_join_later: ClassVar[bool] = False
    replayable: ClassVar[bool] = False
    limits_concurrency: ClassVar[bool] = True

    @property
    def pause_every(self) -> int:
        """The interval: trials wait there until all are compared."""
        return self.interval

    def most_copies(self, n_trials: int, max_epochs: int) -> int:
        """Return how many copies there are if no trial ends before its last epoch."""
        times = (max_epochs - 1) // self.interval
        return times * min(math.ceil(n_trials * self.quantile), n_trials // 2)

    def check(self, plan: Planned) -> None:
        """Refuse settings with which a population cannot be trained.

        Raises:
            SpaceError: The message starts with the setting that is to be changed.
        """
        if plan.algorithm == "grid":
            raise SpaceError(
                "scheduler.kind: pbt ends trials and goes on with copies that have other settings, "
                "and a grid compares its own points. Search with random, qmc or tpe, or take "
                "another scheduler."
            )
        _check_dimensions(plan.space)
        eval_every = plan.base.training.eval_every
        if self.interval % eval_every:
            raise SpaceError(
                "scheduler.interval: pbt compares trials at evaluations, so it must be a multiple "
                f"of training.eval_every, got {self.interval} and {eval_every}."
            )
        if self.interval >= plan.max_epochs:
            raise SpaceError(
                "scheduler.interval: it must be below the epochs of the longest trial, or nothing "
                f"is ever compared, got {self.interval} and {plan.max_epochs}. Lower it, or raise "
                "training.n_iter."
            )
        if plan.n_trials < 2:
            raise SpaceError(
                f"num_trials: pbt needs a population of 2 or more, got {plan.n_trials}."
            )

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return a searcher around the context's that makes room for copies, and the scheduler.

        Raises:
            ValueError: There is no searcher, no space, or nothing that copies checkpoints.
        """
        from tune.schedulers.ray_pbt import PopulationScheduler, PopulationSearcher

        if None in (context.searcher, context.space, context.copy_checkpoint):
            raise ValueError(
                "a population needs searcher, space and copy_checkpoint in its context: it is "
                "trained in a study, and cannot be replayed"
            )
        searcher = PopulationSearcher(context.searcher, context.metric)
        scheduler = PopulationScheduler(
            searcher, context, interval=self.interval, quantile=self.quantile
        )
        return searcher, scheduler


def _check_dimensions(space: "Space") -> None:
    """Refuse a space of which copies cannot change anything, or something that others hang on."""
    if space.keys.isdisjoint(CHANGEABLE):
        raise SpaceError(
            f"scheduler.kind: pbt changes {', '.join(CHANGEABLE)} while trials train, and none of "
            f"them is searched, got {', '.join(sorted(space.keys))}. Search one, or take another "
            "scheduler."
        )
    for dimension in space.dimensions:
        domain = dimension.domain
        if dimension.key in CHANGEABLE and isinstance(domain, Choice) and domain.structured:
            raise SpaceError(f"{dimension.key}: pbt needs numbers, got {list(domain.values)}.")
        for key, _ in dimension.when:
            if key in CHANGEABLE:
                raise SpaceError(
                    f"{dimension.key}: pbt changes {key} while a trial trains, so no `when` can "
                    "look at it. Leave the condition out, or take another scheduler."
                )
    if "training.eval_every" in space.settings:
        raise SpaceError(
            "training.eval_every: pbt compares all trials at the same epochs, so it cannot be "
            "searched. Set it in training."
        )
