"""Searches replayed on recorded learning curves, with a virtual clock and no Ray.

Rules that stop trials are the very objects that a study asks, samplers the very ones that its
searcher asks. A sampler's draw is answered by the recorded trial that is nearest to it and has not
run yet.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.trial import Trial, TrialState
from ray.tune.schedulers import TrialScheduler

from tune.curves import Curve, Curves
from tune.draft import draw_allowed
from tune.halving import Verdict
from tune.points import PointSampler
from tune.samplers import Algorithm, Samplers
from tune.schedulers import CLOCK, BareTrial, Brackets, make_scheduler
from tune.settings import SchedulerSettings

_METRIC = "value"
_NO_RAY: Any = None


@dataclass(frozen=True)
class Strategy:
    """A way to search.

    Attributes:
        algorithm: What decides the next trial.
        scheduler: What stops trials early.
    """

    algorithm: Algorithm
    scheduler: SchedulerSettings

    @property
    def name(self) -> str:
        """The two in words, such as ``tpe + asha 5:3``."""
        kind, grace = self.scheduler.kind, self.scheduler.grace_period
        factor = f":{self.scheduler.reduction_factor:g}" if self.scheduler.halves else ""
        return f"{self.algorithm} + {kind}" + ("" if kind == "none" else f" {grace}{factor}")


@dataclass(frozen=True)
class Replay:
    """A search that was replayed.

    Attributes:
        steps: Training seconds spent so far, over all workers, and the best value among trials that
            had ended by then; only where the value grew. A trial that was stopped, or was held to
            the end, cannot win.
        spent_s: Training seconds in all.
        wall_s: Virtual seconds from the first start to the last report.
        n_started: Trials that were started.
        n_finished: Those that ran to their end.
    """

    steps: tuple[tuple[float, float], ...]
    spent_s: float
    wall_s: float
    n_started: int
    n_finished: int

    def best_at(self, seconds: float) -> float:
        """Return the best value after so many training seconds; -inf before the first."""
        return max((value for at, value in self.steps if at <= seconds), default=float("-inf"))

    def seconds_to(self, value: float) -> float:
        """Return the training seconds until a value was reached; inf if it never was."""
        return min((at for at, best in self.steps if best >= value), default=float("inf"))


def replay(
    curves: Curves,
    strategy: Strategy,
    *,
    seed: int,
    workers: int = 1,
    num_trials: int | None = None,
    budget_s: float = float("inf"),
) -> Replay:
    """Replay one search.

    Args:
        curves: What can be found.
        strategy: How to search.
        seed: Seed of the search.
        workers: Trials at a time.
        num_trials: Trials at most; None: all that are recorded.
        budget_s: Training seconds, over all workers, after which the search ends.
    """
    return _Search(curves, strategy, seed, num_trials or len(curves.curves)).run(workers, budget_s)


class _Rule(Protocol):
    """What decides about trials, which it knows by their numbers."""

    def report(self, number: int, epoch: int, value: float, *, done: bool) -> Verdict:
        """Enter a report; `done`: its trial has run to its end, and nothing is to be decided."""

    def settle(self, *, last: bool = False) -> tuple[list[int], list[int]]:
        """Decide about the trials that are held: see `tune.halving.Halving.settle`."""


class _Halves:
    """Successive halving."""

    def __init__(self, brackets: Brackets) -> None:
        self._brackets = brackets

    def report(self, number: int, epoch: int, value: float, *, done: bool) -> Verdict:
        return "on" if done else self._brackets.of(number).report(number, epoch, value)

    def settle(self, *, last: bool = False) -> tuple[list[int], list[int]]:
        return self._brackets.settle(last=last)


class _HoldsNone:
    """A scheduler of Ray Tune's kind, which lets a trial go on or stops it."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler

    def report(self, number: int, epoch: int, value: float, *, done: bool) -> Verdict:
        bare: Any = BareTrial(number)
        result = {CLOCK: epoch, _METRIC: value}
        self._scheduler.on_trial_add(_NO_RAY, bare)  # counts once
        # Ray Tune does not ask a scheduler about the result that ends a trial.
        decision = (
            TrialScheduler.CONTINUE
            if done
            else self._scheduler.on_trial_result(_NO_RAY, bare, result)
        )
        stops = decision == TrialScheduler.STOP
        if done or stops:
            self._scheduler.on_trial_complete(_NO_RAY, bare, result)
        return "stop" if stops else "on"

    def settle(self, *, last: bool = False) -> tuple[list[int], list[int]]:
        return [], []


def _rule(settings: SchedulerSettings, max_epochs: int) -> _Rule:
    if settings.halves:
        return _Halves(Brackets(settings, max_epochs=max_epochs))
    return _HoldsNone(make_scheduler(settings, metric=_METRIC))


@dataclass
class _Begun:
    trial: Trial
    curve: Curve
    done: int = 0

    @property
    def next_s(self) -> float:
        """Seconds to its next report."""
        return self.curve.reports[self.done][2]


class _Search:
    def __init__(self, curves: Curves, strategy: Strategy, seed: int, num_trials: int) -> None:
        self._space = curves.space
        self._strategy = strategy
        self._left = list(curves.curves)
        self._num_trials = min(num_trials, len(self._left))
        self._started = self._finished = 0
        self._random = random.Random(seed)
        self._study = optuna.create_study(direction="maximize")
        self._samplers = Samplers(
            strategy.algorithm, curves.space, seed=seed, num_trials=self._num_trials
        )
        self._rule = _rule(strategy.scheduler, curves.max_epochs)
        self._held: dict[int, _Begun] = {}
        self._released: deque[_Begun] = deque()

    def run(self, workers: int, budget_s: float) -> Replay:
        queue: list[tuple[float, int, _Begun]] = []
        now = spent = 0.0
        best = float("-inf")
        steps: list[tuple[float, float]] = []

        def proceed(begun: _Begun) -> None:
            heapq.heappush(queue, (now + begun.next_s, begun.trial.number, begun))

        def fill() -> None:
            while len(queue) < workers and (begun := self._next()):
                proceed(begun)

        fill()
        while queue and spent < budget_s:
            now, _, begun = heapq.heappop(queue)
            spent += begun.next_s
            verdict, finished = self._report(begun)
            if finished and begun.curve.best > best and spent <= budget_s:
                best = begun.curve.best
                steps.append((spent, best))
            if verdict == "on" and not finished:
                proceed(begun)
            fill()
        return Replay(tuple(steps), spent, now, self._started, self._finished)

    def _next(self) -> _Begun | None:
        """Return what trains next: a trial that goes on, or else a new one, or else none."""
        if not self._released and self._started == self._num_trials:
            self._settle(last=True)
        if self._released:
            return self._released.popleft()
        return self._start() if self._started < self._num_trials else None

    def _start(self) -> _Begun:
        number = self._started
        self._started += 1
        self._study.sampler = PointSampler({})
        trial = self._study.ask()
        curve = self._choose(trial, number)
        self._left.remove(curve)
        self._study.sampler = PointSampler(self._space.encode(curve.values))
        self._space.suggest(trial)
        return _Begun(trial, curve)

    def _choose(self, trial: Trial, number: int) -> Curve:
        if self._strategy.algorithm == "random":
            return self._random.choice(self._left)
        drawn = draw_allowed(
            self._space,
            self._study,
            self._study._storage.get_trial(trial._trial_id),
            self._samplers.of(number),
            {},
            draws=self._samplers.draws,
            seed=self._samplers.seed_of(number),
        )
        wanted = self._space.decode(drawn)
        return min(self._left, key=lambda curve: self._space.distance(curve.values, wanted))

    def _report(self, begun: _Begun) -> tuple[Verdict, bool]:
        """Tell one report to all; return what becomes of the trial, and whether it is finished."""
        epoch, value, _ = begun.curve.reports[begun.done]
        begun.done += 1
        begun.trial.report(value, step=epoch)
        finished = begun.done == len(begun.curve.reports)
        number = begun.trial.number
        verdict = self._rule.report(number, epoch, value, done=finished)
        if finished:
            self._finished += 1
            self._study.tell(begun.trial, begun.curve.best)
        elif verdict == "stop":
            self._study.tell(begun.trial, state=TrialState.PRUNED)
        elif verdict == "hold":
            self._held[number] = begun
        self._settle()
        return verdict, finished

    def _settle(self, *, last: bool = False) -> None:
        on, out = self._rule.settle(last=last)
        self._released.extend(self._held.pop(number) for number in on)
        for number in out:
            self._study.tell(self._held.pop(number).trial, state=TrialState.PRUNED)


@dataclass(frozen=True)
class Comparison:
    """A strategy over several seeds.

    Attributes:
        strategy: Which.
        replays: One a seed.
        shares: Of each seed: training seconds until the best of the full random search was
            reached, divided by all that the random search took; inf if it never was.
        best: Of each seed and each asked share of that time: the best value, -inf for none.
    """

    strategy: Strategy
    replays: tuple[Replay, ...]
    shares: tuple[float, ...]
    best: tuple[tuple[float, ...], ...]


def compare(
    curves: Curves,
    strategies: Sequence[Strategy],
    *,
    seeds: Sequence[int],
    workers: int = 1,
    num_trials: int | None = None,
    at: Sequence[float] = (),
) -> list[Comparison]:
    """Compare strategies with a random search that runs every trial to its end.

    Args:
        curves: What can be found.
        strategies: How to search; each may spend as many training seconds as the random search.
        seeds: Seeds of the searches.
        workers: Trials at a time.
        num_trials: Trials of the random search; None: all that are recorded. The strategies may
            start any recorded trial.
        at: Shares of the random search's seconds at which the best value is looked up.
    """
    full = Strategy("random", SchedulerSettings(kind="none"))
    goals = [
        replay(curves, full, seed=seed, workers=workers, num_trials=num_trials) for seed in seeds
    ]
    compared = []
    for strategy in strategies:
        replays = [
            replay(curves, strategy, seed=seed, workers=workers, budget_s=goal.spent_s)
            for seed, goal in zip(seeds, goals, strict=True)
        ]
        pairs = list(zip(replays, goals, strict=True))
        shares = [own.seconds_to(goal.steps[-1][1]) / goal.spent_s for own, goal in pairs]
        best = [tuple(own.best_at(share * goal.spent_s) for share in at) for own, goal in pairs]
        compared.append(Comparison(strategy, tuple(replays), tuple(shares), tuple(best)))
    return compared
