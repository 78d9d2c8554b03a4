"""Population-based training inside Ray Tune: a scheduler and a searcher that work hand in hand.

Ray's own PopulationBasedTraining refuses searchers, changes the settings of a trial under its name,
draws from global random numbers and cannot be resumed from our journal. Here no trial ever changes:
the worst are stopped, and copies of the best begin, as trials of their own with a parent. See
``docs/decisions/0017-population-based-training.md``.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hbpr.tracking.records import Parent, TrialRecord
from tune.schedulers.base import CLOCK, NUMBER, SchedulerContext
from tune.schedulers.population import Copy, decide

logger = logging.getLogger(__name__)


class CopyingSearcher(Protocol):
    """A Ray Tune searcher that keeps the journal and can make copies of trials."""

    def trials(self) -> Sequence[TrialRecord]:
        """Return the study's own trials by number."""

    def add_copy(self, values: Mapping[str, Any], parent: Parent) -> int:
        """Make a trial that goes on from another's weights; return its number."""

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's metric and mode, or not."""

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, or ``Searcher.FINISHED``."""

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note a report."""

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Note the end of a trial."""

    def save(self, checkpoint_path: str) -> None:
        """Accept that Tune asks for a snapshot."""


class PopulationSearcher(Searcher):
    """Hands out trials while there is room for them, and goes on as long as copies may come.

    Paused trials take no room, which Ray's own limit on concurrent trials does not know.

    Args:
        searcher: Draws the population and keeps the journal.
        metric: Key of a result that is compared.
    """

    def __init__(self, searcher: CopyingSearcher, metric: str) -> None:
        super().__init__(metric=metric, mode="max")
        self.inner = searcher
        self.has_room = True
        self._live: set[str] = set()

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept what the searcher inside accepts."""
        return self.inner.set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, None for not now, or ``Searcher.FINISHED``."""
        if self._live and not self.has_room:
            return None  # without live trials Tune waits in here, and nobody looks for room
        suggestion = self.inner.suggest(trial_id)
        if suggestion == Searcher.FINISHED:
            return None if self._live else Searcher.FINISHED
        self._live.add(trial_id)
        return suggestion

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Pass a report on."""
        self.inner.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the end of a trial on."""
        self._live.discard(trial_id)
        self.inner.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Let the searcher inside answer."""
        self.inner.save(checkpoint_path)


class PopulationScheduler(FIFOScheduler):
    """Holds every trial at every interval until all are there, then replaces the worst.

    Waiting makes a study the same whatever the number of workers: Jaderberg et al. compare without
    waiting, each trial with whatever the others last reported.

    A held trial is paused without Ray's help: it has written its own checkpoint, and says its last
    report once more when it goes on. A resumed study therefore needs to know nothing about who was
    held: all unfinished trials go on, say where they are, and are held again.

    Args:
        searcher: Keeps the journal and takes the copies.
        context: The study's, with space and `copy_checkpoint`; its trials are the population.
        interval: Epochs between two comparisons.
        quantile: Share of trials that copies replace each time.
    """

    def __init__(
        self,
        searcher: PopulationSearcher,
        context: SchedulerContext,
        *,
        interval: int,
        quantile: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._searcher, self._context = searcher, context
        self._interval, self._quantile = interval, quantile
        before = context.before
        self._members = {trial.number for trial in before}
        self._alive = {trial.number for trial in before if trial.state == "RUNNING"}
        #: Epoch up to which a trial has been compared.
        self._compared = {trial.number: self._known_to(trial) for trial in before}
        self._held: dict[int, tuple[int, Trial]] = {}
        self._released: list[Trial] = []

    def _known_to(self, trial: TrialRecord) -> int:
        """Return the last epoch that a trial of an earlier sitting was compared at and survived."""
        interval = self._interval
        copied = 0 if trial.parent is None else trial.parent.epoch
        return max(copied, (max(trial.reports, default=1) - 1) // interval * interval)

    # Callbacks of Ray.

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Count a trial in; a crashed one comes back this way too."""
        number = _number(trial)
        self._members.add(number)
        self._alive.add(number)
        self._compared.setdefault(number, 0)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Hold a trial that has reached an interval at which it was not compared yet."""
        number = _number(trial)
        if self._context.metric not in result or result[CLOCK] % self._interval:
            return TrialScheduler.CONTINUE
        if result[CLOCK] <= self._compared[number]:
            return TrialScheduler.CONTINUE
        self._held[number] = result[CLOCK], trial
        tune_controller.pause_trial(trial, should_checkpoint=False)
        return TrialScheduler.NOOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Count a trial out that came to its own end."""
        self._alive.discard(_number(trial))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Count a trial out that crashed; Ray adds it again if it is tried again."""
        self._alive.discard(_number(trial))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Count a trial out that was stopped while it was held."""
        self._alive.discard(_number(trial))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Compare if all are there; return a trial that waits for a place, if there is one."""
        if (
            self._alive
            and self._alive == self._held.keys()
            and len(self._members) >= self._context.n_trials
        ):
            self._compare(tune_controller)
        trials: list[Trial] = tune_controller.get_trials()
        waiting = [trial for trial in trials if trial.status == Trial.PENDING]
        busy = len(waiting) + sum(trial.status == Trial.RUNNING for trial in trials)
        self._released = [trial for trial in self._released if trial.status == Trial.PAUSED]
        self._searcher.has_room = busy < self._context.slots() and not self._released
        if waiting:
            return waiting[0]
        if self._released and busy < self._context.slots():
            return self._released[0]
        return None

    # Inside.

    def _compare(self, tune_controller: Any) -> None:
        """Replace the worst of those that are held at the earliest epoch; let the others go on.

        A driver that is killed in here takes the same decision when it is resumed: copies come
        first, each whole or not at all, and no parent moves before all are made.
        """
        epoch = min(epoch for epoch, _ in self._held.values())
        here = {n: trial for n, (at, trial) in self._held.items() if at == epoch}
        for number in here:
            del self._held[number]
        trials, space = self._searcher.inner.trials(), self._context.space
        assert space is not None
        copies = decide(
            trials,
            epoch,
            space=space,
            quantile=self._quantile,
            seed=self._context.seed,
        )
        made = {(t.parent.epoch, t.parent.replaces) for t in trials if t.parent is not None}
        n_trials = len(trials)
        for copy in copies:
            if (epoch, copy.replaces) not in made:
                self._begin(copy, n_trials)
                n_trials += 1
        for copy in copies:
            loser = here.pop(copy.replaces, None)
            if loser is not None:
                tune_controller.stop_trial(loser)
        for number, trial in sorted(here.items()):
            self._compared[number] = epoch
            self._released.append(trial)
        logger.info("epoch %d: %d trials replaced by copies", epoch, len(copies))

    def _begin(self, copy: Copy, number: int) -> None:
        """Put the parent's checkpoint where the copy looks for its own, then make the copy."""
        assert self._context.copy_checkpoint is not None
        self._context.copy_checkpoint(copy.parent, copy.epoch, number)
        parent = Parent(copy.parent, copy.epoch, copy.replaces)
        added = self._searcher.inner.add_copy(copy.values, parent)
        assert added == number, (added, number)
        self._members.add(number)
        self._alive.add(number)
        self._compared[number] = copy.epoch


def _number(trial: Trial) -> int:
    return int(trial.config[NUMBER])
