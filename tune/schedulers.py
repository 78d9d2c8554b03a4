"""What stops trials early: Ray Tune's schedulers, with epochs as their clock.

A step of a trial goes to its next evaluation, so reports jump by several epochs. The epochs at
which trials are halved are evaluated; a rule that acts at another epoch acts at the first report
from there on.
Nothing here is random.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule, TrialScheduler

from tune.halving import Halving
from tune.settings import SchedulerSettings

if TYPE_CHECKING:
    from tune.journal import JournalTrial

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
    mode: str = "max",
    before: "Sequence[JournalTrial]" = (),
) -> TrialScheduler:
    """Return the scheduler of a study that holds no trial: the median rule's, or one of none.

    Args:
        settings: Its kind and options.
        metric: Key of a result that is compared.
        mode: ``max`` or ``min``.
        before: Trials of earlier sittings of the study, with all that they reported. Those that
            did not end go on from a checkpoint, and may report again what is known already.

    Raises:
        ValueError: The kind holds trials, which needs a searcher and checkpoints: see `tune.asha`
            and `tune.pbt`.
    """
    if settings.kind == "none":
        return FIFOScheduler()
    if settings.kind != "median":
        raise ValueError(f"{settings.kind} holds trials; see tune.asha and tune.pbt")
    never: Any = math.inf  # pause a trial to gather samples
    median = _MedianRule(
        time_attr=CLOCK,
        metric=metric,
        mode=mode,
        grace_period=settings.grace_period,
        min_time_slice=never,
        min_samples_required=_MEDIAN_OF,
    )
    return _ToldOnce(median, metric, before)


class Brackets:
    """The halving of a study: one bracket or, as asynchronous Hyperband, several.

    Bracket s halves for the first time after ``grace_period * reduction_factor**s`` epochs. The
    bracket of a trial follows from its number, in the shares of Hyperband.

    Args:
        settings: Of kind ``asha`` or ``hyperband``.
        max_epochs: Epochs of the longest trial.
        before: Trials of earlier sittings, with all that they reported.

    Source:
        Li et al., Hyperband, JMLR 18(185), 2018: brackets and their shares.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        *,
        max_epochs: int,
        before: "Sequence[JournalTrial]" = (),
    ) -> None:
        epochs, n_brackets = decision_epochs(settings, max_epochs), 1
        if settings.kind == "hyperband":
            grace_period = min(settings.grace_period, max_epochs)
            halvings = math.log(max_epochs / grace_period, settings.reduction_factor)
            n_brackets = int(halvings + 1e-9) + 1
        self._factor = settings.reduction_factor
        self._bracket_of: dict[int, int] = {}
        self._brackets = [Halving(epochs[s:], self._factor) for s in range(n_brackets)]
        for trial in before:
            told = sorted(trial.reports.items())
            # a scheduler is not asked about the result that ends a trial
            self.of(trial.number).remember(
                trial.number, told[:-1] if trial.state == "COMPLETE" else told
            )

    def of(self, number: int) -> Halving:
        """Return the bracket of a trial."""
        if number not in self._bracket_of:
            n_brackets = len(self._brackets)
            bracket = bracket_of(number, n_brackets, self._factor) if n_brackets > 1 else 0
            self._bracket_of[number] = bracket
        return self._brackets[self._bracket_of[number]]

    def settle(self, *, last: bool = False) -> tuple[list[int], list[int]]:
        """Decide about the trials that are held in all brackets: see `Halving.settle`."""
        on: list[int] = []
        out: list[int] = []
        for bracket in self._brackets:
            found = bracket.settle(last=last)
            on += found[0]
            out += found[1]
        return on, out


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
    return tuple(decision_epochs(settings, max_epochs)) if settings.halves else ()


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
        rule: "_MedianRule",
        metric: str,
        before: "Sequence[JournalTrial]" = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rule = rule
        self._watched = metric
        self._last: dict[int, int] = {}
        self._decided: dict[int, str] = {}
        for trial in before:
            self._replay(trial)

    def _replay(self, trial: "JournalTrial") -> None:
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
