"""Asynchronous successive halving inside Ray Tune: a scheduler and a searcher hand in hand.

Ray's AsyncHyperBandScheduler decides once, when a trial comes to a rung, and can hold none; its
HyperBandScheduler fills brackets with the trials that are alive, which a searcher that makes them
one by one never does. See ``docs/decisions/0022-held-trials.md``.
"""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import ConcurrencyLimiter

from tune.schedulers import CLOCK, Brackets
from tune.searcher import OptunaSearcher


class HalvingSearcher(ConcurrencyLimiter):
    """Limits the trials that run at a time; held ones take no place.

    Args:
        searcher: Draws the trials.
        slots: Trials at a time.
    """

    def __init__(self, searcher: OptunaSearcher, slots: int) -> None:
        super().__init__(searcher, max_concurrent=slots)
        self._inner = searcher

    @property
    def exhausted(self) -> bool:
        """Whether no further trial will be made."""
        return self._inner.exhausted

    def hold(self, trial_id: str) -> None:
        """Give the place of a trial to another."""
        self.live_trials.discard(trial_id)

    def release(self, trial_id: str) -> None:
        """Let a trial that was held take a place, if need be one more than there are."""
        self.live_trials.add(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the end of a trial on, also of one that is held."""
        self.live_trials.discard(trial_id)
        self.searcher.on_trial_complete(trial_id, result, error)


class HalvingScheduler(FIFOScheduler):
    """Holds trials at rungs, and lets those go on that turn out to be among the best there.

    A held trial is paused without Ray's help: it has written its own checkpoint, and says its last
    report once more when it goes on. A resumed study therefore needs to know nothing about who was
    held: all unfinished trials go on, say where they are, and are held again.

    Trials that go on come before new ones. When no new ones are left and a place is free, every
    rung sends at least one on; what is held after that is stopped.

    Args:
        brackets: The rule.
        searcher: Hands out the trials.
        metric: Key of a result that is compared; higher is better.
        slots: Trials at a time.
    """

    def __init__(
        self, brackets: Brackets, searcher: HalvingSearcher, *, metric: str, slots: int
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._brackets, self._searcher = brackets, searcher
        self._metric, self._slots = metric, slots
        self._held: dict[int, Trial] = {}
        self._released: list[Trial] = []

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter a report into its rung; let a trial go on, hold it or stop it."""
        if self._metric not in result:
            return TrialScheduler.CONTINUE
        number = _number(trial)
        verdict = self._brackets.of(number).report(number, result[CLOCK], result[self._metric])
        if verdict == "hold":
            self._held[number] = trial
            self._searcher.hold(trial.trial_id)
            tune_controller.pause_trial(trial, should_checkpoint=False)
        self._settle(tune_controller)
        if verdict == "hold":
            return TrialScheduler.NOOP
        return TrialScheduler.STOP if verdict == "stop" else TrialScheduler.CONTINUE

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget a trial that was stopped while it was held."""
        number = _number(trial)
        self._held.pop(number, None)
        self._brackets.of(number).forget(number)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a trial that goes on, or else a new one, if there is a place for it."""
        self._released = [trial for trial in self._released if trial.status == Trial.PAUSED]
        trials: list[Trial] = tune_controller.get_trials()
        waiting = [trial for trial in trials if trial.status == Trial.PENDING]
        running = sum(trial.status == Trial.RUNNING for trial in trials)
        busy = running + len(waiting) + len(self._released)
        if self._searcher.exhausted and self._held and busy < self._slots:
            self._settle(tune_controller, last=True)
            if not (busy or self._released):
                for _, trial in sorted(self._held.items()):
                    tune_controller.stop_trial(trial)
        if self._released and running < self._slots:
            return self._released[0]
        return waiting[0] if waiting else None

    def _settle(self, tune_controller: Any, *, last: bool = False) -> None:
        on, out = self._brackets.settle(last=last)
        for number in on:
            trial = self._held.pop(number)
            self._searcher.release(trial.trial_id)
            self._released.append(trial)
        for number in out:
            tune_controller.stop_trial(self._held[number])


def _number(trial: Trial) -> int:
    return int(trial.config["trial"])
