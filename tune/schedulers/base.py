"""What every kind of scheduler has: its settings, and what the rest of a study asks of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from pydantic import Field

from hbpr.settings.base import Settings

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from hbpr.settings.models import TrialSettings
    from hbpr.settings.training import GrowthSettings
    from hbpr.tracking.records import TrialRecord
    from tune.space import Space

#: Key of a result that schedulers take for the time.
CLOCK: Final = "epoch"
#: Keys of a Tune trial's settings: its number in the study, and its values by dotted setting.
NUMBER: Final = "trial"
VALUES: Final = "values"


class Planned(Protocol):
    """What a scheduler may look at of a study that is to be run, see `tune.settings.StudyPlan`."""

    @property
    def base(self) -> "TrialSettings":
        """Settings of a trial in which nothing searched has been replaced yet."""

    @property
    def space(self) -> "Space":
        """The space, tried against the settings."""

    @property
    def algorithm(self) -> str:
        """What decides the settings of the next trial, such as ``grid``."""

    @property
    def n_trials(self) -> int:
        """Trials, copies not counted."""

    @property
    def max_epochs(self) -> int:
        """The most epochs that a trial can train."""


@dataclass(frozen=True, kw_only=True)
class SchedulerContext:
    """What the scheduler of a study is made from.

    Attributes:
        metric: Key of a result that is compared; higher is better.
        max_epochs: Epochs of the longest trial.
        n_trials: Trials of the study.
        given: Whether somebody chose its first trials, as points of a grid or to start with.
        before: Trials of earlier sittings of the study, with all that they reported. Those that
            did not end go on from a checkpoint, and may report again what is known already.
        searcher: The Ray Tune searcher that suggests the trials and keeps the journal, see
            `tune.search.searcher.OptunaSearcher`; None where trials are replayed.
        space: The study's; None where trials are replayed.
        seed: Seed of the study.
        slots: Returns how many trials may run or wait for a node at this moment.
        copy_checkpoint: Given the numbers of a trial, of one of its epochs and of a new trial, puts
            the checkpoint where the new trial looks for its own; None where trials are replayed.
    """

    metric: str
    max_epochs: int
    n_trials: int
    given: bool = False
    before: "Sequence[TrialRecord]" = ()
    searcher: Any = None
    space: "Space | None" = None
    seed: int = 0
    slots: Callable[[], int] = lambda: 1
    copy_checkpoint: Callable[[int, int, int], None] | None = None


class SchedulerSettings(Settings):
    """What stops trials early.

    Each kind has a class of its own in `tune.schedulers.SCHEDULERS`, with its fields, and replaces
    what does not fit it of the methods and class attributes here. Only `make` may import Ray, which
    takes seconds.
    """

    kind: str = Field(
        description="Rule by which a trial is stopped; pbt: the worst are replaced by copies of "
        "the best with other learning rates and regularisation; none: every trial runs to its end.",
    )

    #: Whether it compares trials by the study's metric alone, so that with several objectives or
    #: limits it would stop trials that can win.
    compares_one_metric: ClassVar[bool] = True
    #: Whether a study can be given more trials, or another budget once it has ended.
    trials_join_later: ClassVar[bool] = True
    #: Whether a trial keeps its settings, so that its curve can be replayed under another search.
    replayable: ClassVar[bool] = True
    #: Whether it counts the trials that run itself, since some of them wait.
    limits_concurrency: ClassVar[bool] = False
    #: Whether the order of the values alone decides, so that random ones show how long trials run.
    decides_by_order: ClassVar[bool] = False
    #: Fields that stand behind the kind in its short form, such as ``asha:5:3``.
    short_form: ClassVar[tuple[str, ...]] = ()

    @property
    def label(self) -> str:
        """Kind and most important fields in words, such as ``asha 5:3``."""
        values = ":".join(f"{getattr(self, name):g}" for name in self.short_form)
        return f"{self.kind} {values}".rstrip()

    @property
    def pause_every(self) -> int:
        """Epochs after which every trial has a checkpoint, to be paused or copied; 0: never."""
        return 0

    @property
    def grows_data(self) -> bool:
        """Whether a trial that goes on gets more of the data."""
        return False

    def growth(self, max_epochs: int) -> "GrowthSettings | None":
        """Return how the data of trials grow, if they do and there is an epoch to grow at."""
        return None

    def decision_epochs(self, max_epochs: int) -> list[int]:
        """Return the epochs below the last one at which trials can be stopped, in order."""
        return []

    def evaluate_at(self, max_epochs: int) -> tuple[int, ...]:
        """Return epochs that must be evaluated whatever ``training.eval_every`` says."""
        return ()

    def most_copies(self, n_trials: int, max_epochs: int) -> int:
        """Return how many trials it makes itself if no trial ends before its last epoch."""
        return 0

    def check(self, plan: Planned) -> None:
        """Refuse a study that it cannot serve.

        Raises:
            SpaceError: The message starts with the setting that is to be changed.
        """

    def make(self, context: SchedulerContext) -> "tuple[Any, TrialScheduler]":
        """Return what Ray Tune asks for trials, and what it asks whether they go on.

        The first is the context's searcher, or another one around it.

        Raises:
            ValueError: The context lacks what it needs.
        """
        raise NotImplementedError(f"{type(self).__name__} has no make")


def growing_epochs(first: float, factor: float, max_epochs: int) -> list[int]:
    """Return epochs below the last one, each `factor` times the one before, as whole numbers.

    Example:
        >>> growing_epochs(5, 3.0, 60)
        [5, 15, 45]
    """
    epoch, epochs = float(first), []
    while epoch < max_epochs:
        epochs.append(math.ceil(epoch))
        epoch *= factor
    return epochs
