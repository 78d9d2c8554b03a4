"""What a study will cost, from one short trial: ``hbpr tune CONFIG --dry-run``."""

import math
import random
import time
from dataclasses import dataclass
from typing import Any

from cluster.connect.ray import ray_runtime
from hbpr.data.interactions import Interactions
from hbpr.errors import ClusterError
from hbpr.formats import as_words, counted, duration
from hbpr.settings.load import with_values
from hbpr.settings.models import NegativeSettings, TrialSettings
from hbpr.training.trainer import Trainer
from tune.schedulers import SchedulerContext
from tune.schedulers.base import CLOCK
from tune.settings import StudyPlan
from tune.space import Space
from tune.study.interrupt import orderly_stop
from tune.trial.data import checked_nodes, data_of, load_datasets, n_bytes, trial_slots
from tune.trial.parts import sent
from tune.warm_start.earlier import read_beginning

#: Seconds after which the short trial ends, once it has been evaluated twice.
_LONG_ENOUGH_S = 5.0
#: Share of a node's memory that trials may take.
_MEMORY_SHARE = 0.9
_MAX_SAMPLES = 64
#: Seconds that the search costs beside a trial's own work.
_PLATFORM_S = 0.05
#: Trials whose halving is rehearsed in all, and in one study at most.
_REHEARSED = 2048
_LONGEST_REHEARSAL = 192


@dataclass(frozen=True)
class Measured:
    """One short trial.

    Attributes:
        epochs: Epochs it trained, those of the first period left out: they compile and warm up.
        train_s: Seconds of training an epoch.
        eval_s: Seconds of one evaluation.
        start_s: Seconds from the settings to the first epoch.
        memory_bytes: Memory that the trial's process has to itself.
    """

    epochs: int
    train_s: float
    eval_s: float
    start_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What a study will cost.

    Attributes:
        values: What the short trial was run with: the largest of some sample settings.
        measured: What it took.
        data_bytes: Size of all the data, held once a node.
        n_trials: Trials of the study.
        epochs: Epochs of a trial that runs to its end.
        mean_epochs: Epochs of a mean trial under the study's scheduler, about.
        eval_every: Epochs between evaluations.
        by_cpu: Trials at a time by CPUs and GPUs, and ``max_concurrent``.
        by_memory: Trials at a time by memory.
        wall_limit_s: The study's budget of time, if it has one.
        n_repeats: Runs of finalists with other seeds.
    """

    values: dict[str, Any]
    measured: Measured
    data_bytes: int
    n_trials: int
    epochs: int
    mean_epochs: float
    eval_every: int
    by_cpu: int
    by_memory: int
    wall_limit_s: float | None
    n_repeats: int

    @property
    def at_a_time(self) -> int:
        """Trials at a time."""
        return max(min(self.by_cpu, self.by_memory), 1)

    def wall_s(self, epochs: float) -> float:
        """Return the seconds of a study whose trials train so many epochs, start-up left out."""
        total = math.ceil(self.n_trials / self.at_a_time) * self._trial_s(epochs)
        return total if self.wall_limit_s is None else min(total, self.wall_limit_s)

    @property
    def final_s(self) -> float:
        """Seconds after the search, if finalists and the winner train all their epochs."""
        repeats = math.ceil(self.n_repeats / self.at_a_time) * self._trial_s(self.epochs)
        return repeats + self.epochs * self.measured.train_s

    def _trial_s(self, epochs: float) -> float:
        each = self.measured.train_s + self.measured.eval_s / self.eval_every
        return _PLATFORM_S + self.measured.start_s + epochs * each

    def lines(self) -> list[str]:
        """Return it in words, one line a fact."""
        found, mib = self.measured, 2**20
        lines = [
            f"Trial        {as_words(self.values)}",
            f"Memory       {found.memory_bytes / mib:.0f} MiB a trial, and "
            f"{self.data_bytes / mib:.0f} MiB of data once a node",
            f"An epoch     {found.train_s:.3g} s of training; an evaluation {found.eval_s:.3g} s, "
            f"every {self.eval_every} epochs",
            f"At a time    {counted(self.at_a_time, 'trial')} ({self.by_cpu} by CPUs and GPUs, "
            f"{self.by_memory} by memory)",
            f"Wall time    start-up of about 10 s; about {duration(self.wall_s(self.mean_epochs))} "
            f"for {counted(self.n_trials, 'trial')}, at most "
            f"{duration(self.wall_s(self.epochs))} if none is stopped early; then at most "
            f"{duration(self.final_s)} for {self._final_words()}",
        ]
        if self.by_memory < self.by_cpu:
            lines.append(
                "Memory holds fewer trials than the CPUs: set sweep.max_concurrent to "
                f"{self.at_a_time}, or give a trial more CPUs (sweep.resources.cpu)"
            )
        return lines

    def _final_words(self) -> str:
        finalists = f"{self.n_repeats} runs of finalists and " if self.n_repeats else ""
        return f"{finalists}the last training"


def estimate(plan: StudyPlan, *, address: str | None = None, cpus: int | None = None) -> Estimate:
    """Run one short trial where the study would run, record nothing, and reckon.

    Raises:
        ConfigError: A setting cannot be used, or what the study starts from cannot be read.
        DataError: The data are missing or wrong.
        ClusterError: No Ray, or one that cannot run a trial.
    """
    import ray

    sweep = plan.settings.sweep
    read_beginning(plan)
    datasets = load_datasets(plan, None)
    data_bytes = sum(map(n_bytes, datasets.values()))
    values = _largest(plan.space, plan.base)
    trial = with_values(plan.base, values)
    with orderly_stop(), ray_runtime(address, cpus=cpus, data_bytes=data_bytes) as runtime:
        checked_nodes(plan.settings, runtime)
        slots = trial_slots(plan.settings, runtime)
        task = ray.remote(num_cpus=sweep.resources.cpu, num_gpus=sweep.resources.gpu)(_short_trial)
        try:
            measured = ray.get(
                task.remote(sent(trial), ray.put(data_of(trial, datasets)), sweep.resources.cpu)
            )
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from error
        except ray.exceptions.RayError as error:
            raise ClusterError(f"the short trial was lost: {error}") from error
        by_memory = sum(
            int(_MEMORY_SHARE * node["Resources"].get("memory", 0.0) / measured.memory_bytes)
            for node in ray.nodes()
            if node["Alive"]
        )
    final = sweep.final
    n_repeats = min(final.top, plan.n_trials) * final.seeds
    return Estimate(
        values=values,
        measured=measured,
        data_bytes=data_bytes,
        n_trials=plan.n_trials,
        epochs=plan.max_epochs,
        mean_epochs=mean_epochs(plan),
        eval_every=trial.training.eval_every,
        by_cpu=slots,
        by_memory=by_memory,
        wall_limit_s=sweep.budget.wall_s,
        n_repeats=0 if (final.top, final.seeds) == (1, 1) else n_repeats,
    )


def mean_epochs(plan: StudyPlan) -> float:
    """Return about how many epochs a trial trains under the study's scheduler.

    Halving without waiting lets more than one of `reduction_factor` trials go on, since early ones
    have few rivals. So the very rule of the study is asked about trials that come one after another
    and keep values drawn at random. That a search improves, which lets more go on, and patience,
    which ends trials, are left out; so are the other rules, as if they stopped nothing. An epoch on
    a share of the data counts as that share.
    """
    scheduler, epochs = plan.scheduler, plan.max_epochs
    if not scheduler.decides_by_order:
        return float(epochs)
    growth = plan.base.training.growth
    costs, last = {0: 0.0}, 0
    for decision in [*scheduler.decision_epochs(epochs), epochs]:
        share = growth.at(decision) if growth else 1.0
        costs[decision] = costs[last] + share * (decision - last)
        last = decision
    repeats = max(1, _REHEARSED // min(plan.n_trials, _LONGEST_REHEARSAL))
    ends = [end for seed in range(repeats) for end in _rehearsed(plan, seed)]
    return sum(costs[end] for end in ends) / len(ends)


def _rehearsed(plan: StudyPlan, seed: int) -> list[int]:
    """Return the epoch at which each of a study's first trials ends, with values at random."""
    from tune.schedulers.replayed import NO_RAY, BareTrial

    generator, epochs, n_trials = random.Random(seed), plan.max_epochs, plan.n_trials
    _, rule = plan.scheduler.make(
        SchedulerContext(metric="value", max_epochs=epochs, n_trials=n_trials, given=plan.given)
    )
    decisions, ends = plan.scheduler.decision_epochs(epochs), []
    for number in range(min(n_trials, _LONGEST_REHEARSAL)):
        trial: Any = BareTrial(number)
        value = generator.random()
        rule.on_trial_add(NO_RAY, trial)
        stops = (
            epoch
            for epoch in decisions
            if rule.on_trial_result(NO_RAY, trial, {CLOCK: epoch, "value": value}) == "STOP"
        )
        ends.append(next(stops, epochs))
        rule.on_trial_complete(NO_RAY, trial, {CLOCK: ends[-1], "value": value})
    return ends


def _largest(space: Space, base: TrialSettings) -> dict[str, Any]:
    """Return the sample settings with the largest model, of these with the most negatives."""
    samples = space.allowed_points(random.Random(0), _MAX_SAMPLES)

    def size(values: dict[str, Any]) -> tuple[int, int]:
        trial = with_values(base, values)
        negatives = trial.training.negatives
        n_latent = getattr(trial.model, "n_latent", 0)
        if trial.model.solved or not isinstance(negatives, NegativeSettings):
            return n_latent, 0
        return n_latent, negatives.per_positive * negatives.hardest_of

    return max(samples or [{}], key=size)


def _short_trial(settings: TrialSettings, data: Interactions, threads: int) -> Measured:
    import psutil  # type: ignore[import-untyped]  # Ray's own copy
    import torch

    torch.set_num_threads(threads)
    began = time.perf_counter()
    trainer = Trainer(data, settings, threads=threads)
    start_s = time.perf_counter() - began
    train_s, eval_s, n_epochs, n_evaluations, warm = 0.0, 0.0, 0, 0, False
    for report in trainer:
        if warm:
            n_epochs += 1
            train_s += report.train_s
            eval_s += report.eval_s if report.metrics else 0.0
            n_evaluations += bool(report.metrics)
            if n_evaluations and time.perf_counter() - began > _LONG_ENOUGH_S:
                break
        elif report.metrics:
            warm = True
            if report.done:
                train_s, eval_s, n_epochs, n_evaluations = report.train_s, report.eval_s, 1, 1
    memory = psutil.Process().memory_full_info().uss
    return Measured(
        epochs=n_epochs,
        train_s=train_s / max(n_epochs, 1),
        eval_s=eval_s / max(n_evaluations, 1),
        start_s=start_s,
        memory_bytes=int(memory),
    )
