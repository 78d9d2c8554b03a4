"""The search of a study: one Ray Tune run over the trials that have not ended.

What decides, what runs and what watches the trials are put together here, and nowhere else.
"""

import errno
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
import ray
from ray import tune as ray_tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import CombinedStopper

from hbpr.data.interactions import Interactions
from hbpr.tracking.records import TrialRecord
from tune.report.progress import Progress
from tune.schedulers.halving import halving_epochs, make_scheduler
from tune.schedulers.pbt import PopulationScheduler, PopulationSearcher
from tune.search.searcher import OptunaSearcher
from tune.settings import StudySettings
from tune.space import Space
from tune.storage.beginning import Beginning
from tune.storage.folder import StudyFolder
from tune.storage.journal import quiet_optuna
from tune.study.budget import Budget
from tune.study.disk import DiskGuard, disk_problem
from tune.study.hangs import HangGuard
from tune.study.housekeeping import ForgetEnded, Housekeeping
from tune.study.interrupt import StopRequest
from tune.tracking.callback import RecordTrials
from tune.tracking.recorder import MlflowRecorder
from tune.trial.messages import number_of
from tune.trial.trainable import HbprTrainable, TrialContext


def run_trials(
    settings: StudySettings,
    space: Space,
    datasets: Mapping[str, Interactions],
    folder: StudyFolder,
    *,
    beginning: Beginning | None,
    before: Sequence[TrialRecord],
    left: int,
    slots: int,
    stop: StopRequest,
    budget: Budget,
    recorder: MlflowRecorder,
    housekeeping: Housekeeping,
    progress: bool,
) -> None:
    """Run the trials of a study that have not ended, until all have or something stops them.

    Args:
        settings: The study's.
        space: Its space.
        datasets: Data by data key.
        folder: Its folder.
        beginning: What a new study starts from; None for a resumed one.
        before: Trials of earlier sittings.
        left: Trials that have not ended, new ones included, copies not counted.
        slots: Trials at a time.
        stop: Whether somebody asked the study to stop.
        budget: Whether it has spent enough.
        recorder: Records the trials.
        housekeeping: Notes what happens beside.
        progress: Show progress on stdout.

    Raises:
        OSError: The disk of the folder is nearly full, or was.
    """
    sweep, population = settings.sweep, settings.sweep.scheduler.kind == "pbt"
    goals, most_copies = sweep.goals(), settings.most_copies()
    timeout_s = sweep.faults.trial_timeout_s
    hang = HangGuard(timeout_s, recorder.record_hang) if timeout_s is not None else None
    disk = DiskGuard(folder.path)
    shown = None
    if progress:
        shown = Progress(settings.n_trials() + most_copies, goals, before=before)
    context = TrialContext(
        base=settings.base_trial(),
        data={key: ray.put(interactions) for key, interactions in datasets.items()},
        threads=sweep.resources.cpu,
        checkpoints=folder.checkpoints,
        pause_every=sweep.scheduler.interval if population else 0,
        costs=goals.costs,
        evaluate_at=halving_epochs(sweep.scheduler, settings.max_epochs()),
    )
    # The guard says why before others read it; what they read is forgotten after them.
    callbacks = [hang, RecordTrials(recorder), housekeeping, budget, shown, ForgetEnded()]
    try:
        with stop.polled(), _quiet():
            search_alg, scheduler = _decisions(settings, space, folder, beginning, before, slots)
            ray_tune.run(
                HbprTrainable.of(context),
                name=time.strftime("%Y%m%d-%H%M%S"),
                storage_path=str(folder.ray),
                num_samples=left + most_copies,
                search_alg=search_alg,
                scheduler=scheduler,
                max_concurrent_trials=None if population else slots,
                resources_per_trial={"cpu": sweep.resources.cpu, "gpu": sweep.resources.gpu},
                reuse_actors=True,
                max_failures=sweep.faults.max_retries,
                checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[callback for callback in callbacks if callback is not None],
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
                stop=CombinedStopper(stop, budget, disk),
                raise_on_failed_trial=False,
                verbose=0,
            )
    finally:
        if shown is not None:
            shown.close()
    if disk.problem is not None and not stop.requested:
        raise OSError(errno.ENOSPC, disk.problem, str(folder.path))


def _decisions(
    settings: StudySettings,
    space: Space,
    folder: StudyFolder,
    beginning: Beginning | None,
    before: Sequence[TrialRecord],
    slots: int,
) -> tuple[Searcher, TrialScheduler]:
    """Return what Tune asks for trials, and what it asks whether they go on."""
    sweep = settings.sweep
    searcher = OptunaSearcher(
        space,
        folder.path,
        goals=sweep.goals(),
        algorithm=sweep.search.algorithm,
        seed=sweep.search.seed,
        num_trials=settings.n_trials(),
        beginning=beginning,
    )
    if sweep.scheduler.kind != "pbt":
        return searcher, make_scheduler(
            sweep.scheduler,
            metric=sweep.metric,
            max_epochs=settings.max_epochs(),
            num_trials=settings.n_trials(),
            given=sweep.search.algorithm == "grid" or bool(sweep.start_with),
            before=before,
        )
    asked = PopulationSearcher(searcher, sweep.metric)
    return asked, PopulationScheduler(
        sweep.scheduler,
        asked,
        metric=sweep.metric,
        space=space,
        seed=sweep.search.seed,
        size=settings.n_trials(),
        slots=slots,
        checkpoints=folder.checkpoints,
        before=before,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what is told elsewhere, in plain words.

    That is what Optuna notes, Tune's list of trials that were stopped, and its traceback of a disk
    that is full.
    """
    before = optuna.logging.get_verbosity()
    end = logging.getLogger("ray.tune.tune")
    steps = [
        logging.getLogger(f"ray.tune.execution.{name}")
        for name in ("tune_controller", "experiment_state")
    ]
    level = end.level
    quiet_optuna()
    end.setLevel(logging.CRITICAL)
    for logger_ in steps:
        logger_.addFilter(_is_no_disk_problem)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
        end.setLevel(level)
        for logger_ in steps:
            logger_.removeFilter(_is_no_disk_problem)


def _is_no_disk_problem(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is None or disk_problem(error) is None


def _trial_name(trial: Any) -> str:
    return f"trial-{number_of(trial):05d}"
