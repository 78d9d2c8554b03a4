"""Searches replayed on recorded learning curves, with a virtual clock and no Ray.

Schedulers are the very objects that a study hands to Ray Tune, samplers the very ones that its
searcher asks. A sampler's draw is answered by the recorded trial that is nearest to it and has not
run yet.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import Trial, TrialState
from ray.tune.schedulers import TrialScheduler

from tune.forecast.curves import Curve, Curves
from tune.schedulers import NoneSettings, SchedulerContext, SchedulerSettings
from tune.schedulers.base import CLOCK
from tune.schedulers.replayed import NO_RAY, BareTrial
from tune.search.draw import draw_allowed
from tune.search.fixed import PointSampler
from tune.search.samplers import Algorithm, Samplers

_METRIC = "value"


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
        return f"{self.algorithm} + {self.scheduler.label}"


@dataclass(frozen=True)
class Replay:
    """A search that was replayed.

    Attributes:
        steps: Training seconds spent so far, over all workers, and the best value among trials that
            had ended by then; only where the value grew. A trial that was stopped cannot win.
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
    start: Sequence[Curve] = (),
) -> Replay:
    """Replay one search.

    Args:
        curves: What can be found.
        strategy: How to search.
        seed: Seed of the search.
        workers: Trials at a time.
        num_trials: Trials at most; None: all that are recorded.
        budget_s: Training seconds, over all workers, after which the search ends.
        start: Trials that the search begins with.
    """
    n_trials = num_trials or len(curves.curves)
    return _Search(curves, strategy, seed, n_trials, start).run(workers, budget_s)


@dataclass
class _Running:
    trial: Trial
    bare: BareTrial
    curve: Curve
    done: int = 0


class _Search:
    def __init__(
        self,
        curves: Curves,
        strategy: Strategy,
        seed: int,
        num_trials: int,
        start: Sequence[Curve],
    ) -> None:
        self._start = start
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
        _, self._scheduler = strategy.scheduler.make(
            SchedulerContext(
                metric=_METRIC,
                max_epochs=curves.max_epochs,
                n_trials=self._num_trials,
                given=bool(start),
            )
        )

    def run(self, workers: int, budget_s: float) -> Replay:
        queue: list[tuple[float, int, _Running]] = []
        now = spent = 0.0
        best = float("-inf")
        steps: list[tuple[float, float]] = []

        def proceed(running: _Running | None) -> None:
            running = running or self._next()
            if running is not None:
                seconds = running.curve.reports[running.done][2]
                heapq.heappush(queue, (now + seconds, running.trial.number, running))

        for _ in range(workers):
            proceed(None)
        while queue and spent < budget_s:
            now, _, running = heapq.heappop(queue)
            spent += running.curve.reports[running.done][2]
            goes_on, finished = self._report(running)
            if finished and running.curve.best > best and spent <= budget_s:
                best = running.curve.best
                steps.append((spent, best))
            proceed(running if goes_on else None)
        return Replay(tuple(steps), spent, now, self._started, self._finished)

    def _next(self) -> _Running | None:
        """Start the next trial, if there is one."""
        if self._started >= self._num_trials:
            return None
        number = self._started
        self._started += 1
        self._study.sampler = PointSampler({})
        trial = self._study.ask()
        curve = self._choose(trial, number)
        self._left.remove(curve)
        self._study.sampler = PointSampler(self._space.encode(curve.values))
        self._space.suggest(trial)
        bare = BareTrial(number)
        self._scheduler.on_trial_add(NO_RAY, bare)  # type: ignore[arg-type]
        return _Running(trial, bare, curve)

    def _choose(self, trial: Trial, number: int) -> Curve:
        if number < len(self._start):
            return self._start[number]
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

    def _report(self, running: _Running) -> tuple[bool, bool]:
        """Tell one report to all; return whether the trial goes on, and whether it ran to its end.

        Ray Tune does not ask the scheduler about the result that ends a trial.
        """
        epoch, value, _ = running.curve.reports[running.done]
        running.done += 1
        result = {CLOCK: epoch, _METRIC: value}
        running.trial.report(value, step=epoch)
        finished = running.done == len(running.curve.reports)
        bare: Any = running.bare
        if not finished:
            decision = self._scheduler.on_trial_result(NO_RAY, bare, result)
            if decision != TrialScheduler.STOP:
                return True, False
        self._scheduler.on_trial_complete(NO_RAY, bare, result)
        if finished:
            self._finished += 1
            self._study.tell(running.trial, running.curve.best)
        else:
            self._study.tell(running.trial, state=TrialState.PRUNED)
        return False, finished


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
    start: Sequence[Curve] = (),
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
        start: Trials that each strategy begins with, and the random search does not.
    """
    full = Strategy("random", NoneSettings())
    goals = [
        replay(curves, full, seed=seed, workers=workers, num_trials=num_trials) for seed in seeds
    ]
    compared = []
    for strategy in strategies:
        replays = [
            replay(
                curves,
                strategy,
                seed=seed,
                workers=workers,
                budget_s=goal.spent_s,
                start=start,
            )
            for seed, goal in zip(seeds, goals, strict=True)
        ]
        pairs = list(zip(replays, goals, strict=True))
        shares = [own.seconds_to(goal.steps[-1][1]) / goal.spent_s for own, goal in pairs]
        best = [tuple(own.best_at(share * goal.spent_s) for share in at) for own, goal in pairs]
        compared.append(Comparison(strategy, tuple(replays), tuple(shares), tuple(best)))
    return compared
