"""Successive halving inside Ray Tune, with epochs as its clock.

A step of a trial goes to its next evaluation, so reports jump by several epochs. The epochs at
which trials are halved are evaluated; a rule that acts at another epoch acts at the first report
from there on.
Nothing here is random, and no trial is paused.
"""

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from tune.schedulers.base import CLOCK, NUMBER, SchedulerContext
from tune.schedulers.families import FamiliesApart
from tune.schedulers.halving import HalvingSettings
from tune.schedulers.replayed import NO_RAY, EachReportOnce


def halving(
    settings: HalvingSettings, context: SchedulerContext, *, needed: int, brackets: int
) -> EachReportOnce:
    """Return the scheduler of a study; each kind of model is halved for itself.

    Args:
        settings: Grace period and reduction factor; a grace period above the epochs of the longest
            trial counts as them.
        context: The study's.
        needed: See `Halving`.
        brackets: Number of grace periods; each is `reduction_factor` times the one before.
    """

    def rule() -> Halving:
        return Halving(
            needed=needed,
            time_attr=CLOCK,
            metric=context.metric,
            mode="max",
            max_t=context.max_epochs,
            grace_period=min(settings.grace_period, context.max_epochs),
            reduction_factor=settings.reduction_factor,
            brackets=brackets,
        )

    return EachReportOnce(FamiliesApart(rule), context.metric, context.before)


class Halving(AsyncHyperBandScheduler):
    """Asynchronous successive halving, in one bracket or, as asynchronous Hyperband, in several.

    Bracket s halves for the first time after ``grace_period * reduction_factor**s`` epochs. The
    bracket of a trial follows from its number, in the shares of Hyperband; Ray draws it from
    numpy's global generator.

    Ray's synchronous HyperBandScheduler is of no use here: its brackets count the trials that are
    alive, so with a searcher that makes trials one by one they never fill, and it stops none.

    Source:
        Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
        arXiv:1810.05934; shares of the brackets: Li et al., Hyperband, JMLR 18(185), 2018.

    Args:
        needed: Trials that must have come to a bracket's first rung before one goes on from there.
            With 1, the very first goes on to its end, whatever it is worth: too much for a random
            trial of many, and right where trials are few or somebody chose the first ones.
        options: Of Ray's scheduler.
    """

    def __init__(self, *, needed: int, **options: Any) -> None:
        super().__init__(**options)
        self._needed = needed

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report into its rung; return whether the trial goes on."""
        rungs = self._trial_info[trial.trial_id]._rungs
        too_few = False
        if rungs:  # rounding leaves the last bracket of some without any
            milestone, recorded = rungs[-1]
            new = result[CLOCK] >= milestone and trial.trial_id not in recorded
            too_few = new and len(recorded) + 1 < self._needed
        decision = str(super().on_trial_result(tune_controller, trial, result))
        return str(TrialScheduler.STOP) if too_few else decision

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Put a trial into its bracket."""
        n_brackets = len(self._brackets)
        number = trial.config[NUMBER]
        bracket = bracket_of(number, n_brackets, self._reduction_factor) if n_brackets > 1 else 0
        self._trial_info[trial.trial_id] = self._brackets[bracket]

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report of an earlier sitting into its rung; return what is decided on it."""
        return str(self.on_trial_result(NO_RAY, trial, result))


def bracket_of(number: int, n_brackets: int, reduction_factor: float) -> int:
    """Return the bracket of a trial, from 0, the one that halves earliest.

    Every prefix of the trials has the shares of Hyperband as nearly as whole trials allow.

    Example:
        >>> [bracket_of(number, 3, 3.0) for number in range(8)]
        [0, 1, 0, 2, 0, 1, 0, 2]
    """
    last = n_brackets - 1
    weights = [reduction_factor ** (last - s) / (last - s + 1) for s in range(n_brackets)]
    counts = [0] * n_brackets
    bracket = 0
    for made in range(1, number + 2):
        due = [
            made * weight / sum(weights) - count
            for weight, count in zip(weights, counts, strict=True)
        ]
        bracket = due.index(max(due))
        counts[bracket] += 1
    return bracket
