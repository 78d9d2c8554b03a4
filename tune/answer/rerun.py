"""The finalists' repeats on Ray: what ran to its end, and which seed failed."""

import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import TrialRecord
from tune.answer.finalists import repeat_trial
from tune.answer.lineage import Schedule
from tune.settings import SweepSettings
from tune.storage.repeat import Repeat
from tune.trial.data import data_of
from tune.trial.parts import sent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repeats:
    """What repeating some trials came to.

    Attributes:
        by_trial: Repeats that ran to their end, in the order of the seeds.
        failures: By trial and seed: why that repeat failed.
    """

    by_trial: dict[int, list[Repeat]]
    failures: dict[tuple[int, int], str]

    @property
    def whole(self) -> dict[int, list[Repeat]]:
        """Those of the trials of which no repeat failed: these alone can be compared."""
        failed = {number for number, _ in self.failures}
        return {number: each for number, each in self.by_trial.items() if number not in failed}

    def notes(self) -> list[str]:
        """Return in words which failed, and why.

        Example:
            >>> Repeats({}, {(7, 2): "OSError: gone"}).notes()
            ['trial 7 failed with seed 2 and is no finalist: OSError: gone']
        """
        return [_failed(*key, reason) for key, reason in self.failures.items()]


def run_repeats(
    trials: Sequence[TrialRecord],
    base: TrialSettings,
    data: Mapping[str, Any],
    sweep: SweepSettings,
    *,
    folder: Path,
    slots: int,
    schedules: Mapping[int, Schedule],
    on_progress: Callable[[int, int], None],
) -> Repeats:
    """Repeat trials on Ray; what an earlier sitting finished is read, not run again.

    A model without a seed is run once.

    Args:
        trials: The finalists.
        base: Settings that a trial's values are laid over; seeds count up from its seed.
        data: Reference to the data of each trial's data key; "" serves all.
        sweep: How many seeds there are, what one needs, and how often a crashed one starts anew.
            Once one has failed, no other of that trial is started.
        folder: Where repeats are kept.
        slots: Most at a time.
        schedules: By trial: optimizer settings that its weights went through, see
            `tune.answer.lineage`.
        on_progress: Called twice a second or more with how many are done, and of how many.
    """
    import ray

    folder.mkdir(exist_ok=True)
    found: dict[tuple[int, int], Repeat] = {}
    failures: dict[tuple[int, int], str] = {}
    waiting = []
    for trial, seed in _wanted(trials, base, sweep.final.seeds):
        try:
            found[trial.number, seed] = Repeat.load(_path(folder, trial.number, seed))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            waiting.append((trial, seed))
    cpu = sweep.resources.cpu
    task: Any = ray.remote(
        num_cpus=cpu, num_gpus=sweep.resources.gpu, max_retries=sweep.faults.max_retries
    )(repeat_trial)
    running: dict[Any, tuple[TrialRecord, int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                trial, seed = waiting.pop(0)
                settings = with_values(base, {**trial.values, "training.seed": seed})
                schedule = schedules.get(trial.number)
                reference = task.remote(sent(settings), data_of(settings, data), cpu, schedule)
                running[reference] = trial, seed
            on_progress(len(found), len(found) + len(running) + len(waiting))
            ready, _ = ray.wait(list(running), timeout=0.5)  # short, so that Ctrl-C is heard
            for each in ready:
                trial, seed = running.pop(each)
                try:
                    repeat = ray.get(each)
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[-1]
                    logger.warning(_failed(trial.number, seed, reason))
                    failures[trial.number, seed] = reason
                    waiting = [other for other in waiting if other[0].number != trial.number]
                    continue
                repeat.save(_path(folder, trial.number, seed))
                found[trial.number, seed] = repeat
    finally:
        for each in running:
            ray.cancel(each, force=True)
    on_progress(len(found), len(found))
    by_trial = {
        trial.number: [found[key] for key in sorted(found) if key[0] == trial.number]
        for trial in trials
    }
    return Repeats(by_trial, failures)


def _wanted(
    trials: Sequence[TrialRecord], base: TrialSettings, n_seeds: int
) -> Iterator[tuple[TrialRecord, int]]:
    """Yield trials with seeds, the first seed of all trials first; without a seed, it is all."""
    seeded = {t.number: with_values(base, t.values).model.seeded for t in trials}
    first = base.training.seed + 1
    for seed in range(first, first + n_seeds):
        for trial in trials:
            if seed == first or seeded[trial.number]:
                yield trial, seed


def _failed(number: int, seed: int, reason: str) -> str:
    return f"trial {number} failed with seed {seed} and is no finalist: {reason}"


def _path(folder: Path, number: int, seed: int) -> Path:
    return folder / f"trial-{number:05d}-seed-{seed}.npz"
