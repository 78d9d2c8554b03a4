"""What stops trials early: Ray Tune's schedulers, with epochs as their clock.

A step of a trial goes to its next evaluation, so reports jump by several epochs. The epochs at
which trials are halved are evaluated; a rule that acts at another epoch acts at the first report
from there on.
Nothing here is random, and no trial is paused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from tune.settings import SchedulerSettings

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord

#: Key of a result that schedulers take for the time.
CLOCK = "epoch"
#: Other trials that the median rule needs before it stops one.
_MEDIAN_OF = 3
#: In place of the controller, which these rules do not ask for anything.
_NO_RAY: Any = None


def make_scheduler(
    settings: SchedulerSettings,
    *,
    metric: str,
    max_epochs: int,
    num_trials: int,
    given: bool = False,
    mode: str = "max",
    before: "Sequence[TrialRecord]" = (),
) -> TrialScheduler:
    """Return the scheduler of a study.

    Args:
        settings: Its kind and options.
        metric: Key of a result that is compared.
        max_epochs: Epochs of the longest trial; a grace period above it counts as it.
        num_trials: Trials of the study.
        given: Whether somebody chose its first trials, as points of a grid or to start with.
        mode: ``max`` or ``min``.
        before: Trials of earlier sittings of the study, with all that they reported. Those that
            did not end go on from a checkpoint, and may report again what is known already.

    Raises:
        ValueError: The kind is ``pbt``, which needs a searcher and checkpoints, see
            `tune.schedulers.ray_pbt`.
    """
    if settings.kind == "pbt":
        raise ValueError(
            "a population is trained by tune.schedulers.ray_pbt, not by a scheduler alone"
        )
    watched: dict[str, Any] = {"time_attr": CLOCK, "metric": metric, "mode": mode}
    grace_period = min(settings.grace_period, max_epochs)
    if settings.kind in {"asha", "hyperband"}:
        halvings = math.log(max_epochs / grace_period, settings.reduction_factor)
        factor = math.ceil(settings.reduction_factor)
        waits = settings.kind == "asha" and not given and num_trials >= factor**3
        halving = _Halving(
            needed=factor if waits else 1,
            max_t=max_epochs,
            grace_period=grace_period,
            reduction_factor=settings.reduction_factor,
            brackets=1 if settings.kind == "asha" else int(halvings + 1e-9) + 1,
            **watched,
        )
        return _ToldOnce(halving, metric, before)
    if settings.kind == "median":
        watched["min_time_slice"] = math.inf  # never pause a trial to gather samples
        median = _MedianRule(grace_period=grace_period, min_samples_required=_MEDIAN_OF, **watched)
        return _ToldOnce(median, metric, before)
    return FIFOScheduler()


def decision_epochs(settings: SchedulerSettings, max_epochs: int) -> list[int]:
    """Return the epochs at which trials can be stopped.

    The median rule decides at every report from the grace period on; named are the grace period
    and its doubles. A population has none: settings change on the way, so that the order of its
    trials at the end is not the order of the settings that they had early.

    Example:
        >>> decision_epochs(SchedulerSettings(grace_period=5, reduction_factor=3.0), 60)
        [5, 15, 45]
    """
    factor = 2.0 if settings.kind == "median" else settings.reduction_factor
    epoch, epochs = float(settings.grace_period), []
    while settings.kind not in {"none", "pbt"} and epoch < max_epochs:
        epochs.append(math.ceil(epoch))
        epoch *= factor
    return epochs


def halving_epochs(settings: SchedulerSettings, max_epochs: int) -> tuple[int, ...]:
    """Return the epochs that successive halving needs an evaluation of; none of another rule's."""
    halves = settings.kind in {"asha", "hyperband"}
    return tuple(decision_epochs(settings, max_epochs)) if halves else ()


class _ToldOnce(FIFOScheduler):
    """Tells a rule every report of every trial of the study, each once.

    The rule knows trials by their numbers in the study, which a trial keeps when a fault or a
    resumed study starts it again; Ray's ids change. A report that such a trial repeats, because its
    checkpoint is older than its last report, is not told again: the decision about it was taken. A
    trial that was to stop when its driver was killed stops when it comes there again.

    Args:
        rule: A scheduler that stops trials and pauses none.
        metric: Key of a result that it compares.
        before: Trials of earlier sittings; their reports are told at once.
    """

    def __init__(
        self,
        rule: "_Halving | _MedianRule",
        metric: str,
        before: "Sequence[TrialRecord]" = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rule = rule
        self._watched = metric
        self._last: dict[int, int] = {}
        self._decided: dict[int, str] = {}
        for trial in before:
            self._replay(trial)

    def _replay(self, trial: "TrialRecord") -> None:
        bare: Any = BareTrial(trial.number)
        self.on_trial_add(_NO_RAY, bare)
        results: list[dict[str, Any]] = [
            {CLOCK: epoch, self._watched: value} for epoch, value in sorted(trial.reports.items())
        ]
        # Ray does not ask a scheduler about the result that ends a trial.
        for result in results[:-1] if trial.state == "COMPLETE" else results:
            self._last[trial.number] = result[CLOCK]
            self._decided[trial.number] = self.rule.remember(bare, result)
        if results and trial.state in {"COMPLETE", "PRUNED"}:
            self.on_trial_complete(_NO_RAY, bare, results[-1])

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Introduce a trial, unless it was there before."""
        number = int(trial.config["trial"])
        if number not in self._last:
            self._last[number] = 0
            self.rule.on_trial_add(tune_controller, _bare(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ask the rule about a report that is new."""
        number = int(trial.config["trial"])
        if self._watched not in result or result[CLOCK] < self._last[number]:
            return TrialScheduler.CONTINUE
        decided = self._decided.get(number, TrialScheduler.CONTINUE)
        if result[CLOCK] == self._last[number] or decided == TrialScheduler.STOP:
            return decided
        self._last[number] = result[CLOCK]
        decided = self.rule.on_trial_result(tune_controller, _bare(trial), result)
        self._decided[number] = decided
        return decided

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Tell the rule that a trial ended."""
        self.rule.on_trial_complete(tune_controller, _bare(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Tell the rule of a trial that ended while it did not run."""
        self.rule.on_trial_remove(tune_controller, _bare(trial))


class _Halving(AsyncHyperBandScheduler):
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
        number = trial.config["trial"]
        bracket = bracket_of(number, n_brackets, self._reduction_factor) if n_brackets > 1 else 0
        self._trial_info[trial.trial_id] = self._brackets[bracket]

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report of an earlier sitting into its rung; return what is decided on it."""
        return str(self.on_trial_result(_NO_RAY, trial, result))


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


class _MedianRule(MedianStoppingRule):
    """Ray's rule, safe against trials that end on a result without the metric.

    Ray's own keeps such a result and raises KeyError in the next trial's comparison. It also keeps
    the last result of a stopped trial twice.
    """

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Keep a report of an earlier sitting; the median of that moment is not known any more."""
        self._results[trial].append(result)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result of a trial if it holds a value that is not kept yet."""
        known = self._results[trial][-1] if self._results[trial] else {}
        if self._metric in result and known.get(CLOCK) != result[CLOCK]:
            super().on_trial_complete(tune_controller, trial, result)
        if not self._results[trial]:
            del self._results[trial]


@dataclass(frozen=True)
class BareTrial:
    """What schedulers need of a trial that no Ray runs."""

    number: int

    @property
    def trial_id(self) -> str:
        """Its id, unlike any of Ray's."""
        return f"journal-{self.number}"

    @property
    def config(self) -> dict[str, int]:
        """Its config, as far as schedulers look at it."""
        return {"trial": self.number}


def _bare(trial: Any) -> Any:
    return BareTrial(int(trial.config["trial"]))
