"""What follows from the settings of a study, worked out once before it starts and handed on.

Trying a space against the settings takes up to 0.3 s, so nobody below asks the settings for it.
"""

from dataclasses import dataclass

from hbpr.errors import SpaceError
from hbpr.settings.load import resolve_paths
from hbpr.settings.models import TrialSettings
from tune.schedulers import SchedulerSettings
from tune.settings.goals import Goals
from tune.settings.schema import DEFAULT_TRIALS, StudySettings
from tune.space import Space
from tune.space.check import check_space, data_points, largest, most_epochs, resolved
from tune.space.domains import Choice
from tune.space.points import check_point, written_points


@dataclass(frozen=True)
class StudyPlan:
    """A study that can be run; `make_plan` makes it.

    Attributes:
        settings: What was asked for, with absolute paths.
        base: Settings of a trial in which nothing searched has been replaced yet.
        space: The space, tried against the settings.
        goals: What trials are compared by.
        n_trials: Trials, copies not counted; a grid has as many as points.
        max_epochs: The most epochs that a trial can train.
        most_copies: Copies of trials that the scheduler can make beside them.
    """

    settings: StudySettings
    base: TrialSettings
    space: Space
    goals: Goals
    n_trials: int
    max_epochs: int
    most_copies: int

    @property
    def scheduler(self) -> SchedulerSettings:
        """What stops trials early."""
        return self.settings.sweep.scheduler

    @property
    def algorithm(self) -> str:
        """What decides the settings of the next trial."""
        return self.settings.sweep.search.algorithm

    @property
    def given(self) -> bool:
        """Whether somebody chose the first trials, as points of a grid or to start with."""
        return self.algorithm == "grid" or bool(self.settings.sweep.start_with)


def make_plan(settings: StudySettings) -> StudyPlan:
    """Try the space of a study against its settings, and return what follows from them.

    Raises:
        SpaceError: A dimension, a constraint, a point to start with or what the scheduler needs is
            wrong; the message starts with its key.
    """
    settings = resolve_paths(settings)
    sweep = settings.sweep
    parsed = Space.parse(sweep.space, sweep.constraints)
    base = _base_trial(settings, parsed)
    space = check_space(parsed, base)
    data_points(space, base)
    if sweep.search.algorithm == "cmaes":
        _check_ranges(space)
    plan = _plan(settings, base, space)
    plan.scheduler.check(plan)
    for place, point in written_points(sweep.start_with):
        check_point(space, point, place)
    return plan


def plan_of_started(settings: StudySettings) -> StudyPlan:
    """Return the plan of a study that is only read: its space was tried when it was started.

    Raises:
        SpaceError: The space cannot be read.
    """
    settings = resolve_paths(settings)
    parsed = Space.parse(settings.sweep.space, settings.sweep.constraints)
    base = _base_trial(settings, parsed)
    return _plan(settings, base, resolved(parsed, base))


def _plan(settings: StudySettings, base: TrialSettings, space: Space) -> StudyPlan:
    sweep = settings.sweep
    n_trials = sweep.num_trials or DEFAULT_TRIALS
    if sweep.search.algorithm == "grid":
        n_trials = len(space.grid())
    max_epochs = most_epochs(space, base)
    return StudyPlan(
        settings=settings,
        base=base,
        space=space,
        goals=sweep.goals(),
        n_trials=n_trials,
        max_epochs=max_epochs,
        most_copies=sweep.scheduler.most_copies(n_trials, max_epochs),
    )


def _base_trial(settings: StudySettings, space: Space) -> TrialSettings:
    """Return the settings of a trial, its data growing where the scheduler says so."""
    plain = TrialSettings(**{name: getattr(settings, name) for name in TrialSettings.model_fields})
    scheduler = settings.sweep.scheduler
    if not scheduler.grows_data:
        return plain
    growth = scheduler.growth(int(largest(space, "training.n_iter", plain)))
    training = plain.training.model_copy(update={"growth": growth})
    return plain.model_copy(update={"training": training})


def _check_ranges(space: Space) -> None:
    """Refuse a space in which CMA-ES has nothing to do.

    Raises:
        SpaceError: Fewer than two ranges are searched in every trial.
    """
    ranges = [d.key for d in space.dimensions if not d.when and not isinstance(d.domain, Choice)]
    if len(ranges) < 2:
        raise SpaceError(
            "search.algorithm: cmaes needs two or more ranges ({low, high}) without `when`, got "
            f"{', '.join(ranges) or 'none'}; lists of values are drawn at random. Search with tpe."
        )
