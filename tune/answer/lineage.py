"""The settings that a trial's weights went through, from their first epoch on.

Only population-based training gives a trial a parent; every other one is a lineage of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hbpr.data.interactions import Interactions
from hbpr.settings.load import with_values
from hbpr.settings.models import OptimizerSettings, TrialSettings
from hbpr.tracking.findings import Stage
from hbpr.training.report import EpochReport
from hbpr.training.trainer import Trainer

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord

#: First epoch -> optimizer settings from there on.
Schedule = Mapping[int, OptimizerSettings]


def lineage(trials: "Sequence[TrialRecord]", number: int) -> list[Stage]:
    """Return the stages that led to a trial, its own last.

    Args:
        trials: All of the study.
        number: Number of the trial.
    """
    by_number = {trial.number: trial for trial in trials}
    stages: list[Stage] = []
    trial = by_number[number]
    while trial.parent is not None:
        stages.insert(0, Stage(trial.parent.epoch + 1, trial.number, trial.values))
        trial = by_number[trial.parent.trial]
    return [Stage(1, trial.number, trial.values), *stages]


def schedule_of(stages: Sequence[Stage], base: TrialSettings) -> Schedule:
    """Return the optimizer settings of each stage."""
    return {stage.first: with_values(base, stage.values).optimizer for stage in stages}


def describe(stages: Sequence[Stage], epochs: int) -> str | None:
    """Return in words what changed on the way to an epoch; None for a lineage of one stage.

    Example:
        >>> stages = [Stage(1, 3, {"optimizer.lr": 0.1}), Stage(11, 8, {"optimizer.lr": 0.08})]
        >>> describe(stages, 30)
        'optimizer.lr 0.1 from epoch 1 (trial 3), 0.08 from epoch 11 (trial 8)'
    """
    reached = [stage for stage in stages if stage.first <= epochs]
    keys = [
        key
        for key, value in reached[-1].values.items()
        if any(s.values[key] != value for s in reached)
    ]
    lines = []
    for key in keys:
        steps, before = [], None
        for stage in reached:
            if stage.values[key] != before:
                before = stage.values[key]
                steps.append(f"{before:.4g} from epoch {stage.first} (trial {stage.trial})")
        lines.append(f"{key} {', '.join(steps)}")
    return "; ".join(lines) or None


class ScheduledTrainer(Iterator[EpochReport]):
    """A trainer whose optimizer settings change at given epochs.

    Attributes:
        trainer: The trainer, for its model and its best epoch.
    """

    def __init__(
        self, data: Interactions, settings: TrialSettings, schedule: Schedule, *, threads: int
    ) -> None:
        """Prepare it.

        Args:
            data: A split dataset.
            settings: Settings of everything but what the schedule says.
            schedule: Empty: the settings' own optimizer throughout.
            threads: CPU threads that the engine may use.
        """
        self._schedule = schedule
        first = settings.model_copy(update={"optimizer": schedule.get(1, settings.optimizer)})
        self.trainer = Trainer(data, first, threads=threads)

    def __next__(self) -> EpochReport:
        """Train one epoch."""
        changed = self._schedule.get(self.trainer.epoch + 1)
        if changed is not None and self.trainer.epoch:
            self.trainer.retune(changed)
        return next(self.trainer)
