"""The search of a study: one Ray Tune run over the trials that have not ended.

What decides, what runs and what watches the trials are put together here, and nowhere else.
"""

import errno
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import optuna
import ray
from ray import tune as ray_tune
from ray.air._internal import usage
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.stopper import CombinedStopper

from hbpr.data.interactions import Interactions
from hbpr.errors import StudyError
from hbpr.tracking.records import TrialRecord
from tune.report.progress import Progress
from tune.schedulers import SchedulerContext
from tune.search.searcher import OptunaSearcher
from tune.settings import StudyPlan
from tune.storage.beginning import Beginning
from tune.storage.journal import quiet_optuna
from tune.storage.kept import Checkpoints
from tune.storage.opened import Opened
from tune.study.budget import Budget
from tune.study.disk import DiskGuard, LostGuard, disk_problem
from tune.study.hangs import HangGuard
from tune.study.housekeeping import ForgetEnded, Housekeeping
from tune.study.interrupt import StopRequest
from tune.study.listen import Listener
from tune.study.metrics import ExportMetrics
from tune.study.own_process import starting_processes_kept
from tune.study.placement import OnFitNodes
from tune.study.room import Room
from tune.study.task_names import NameTasks
from tune.study.tell import Tell
from tune.tracking.callback import RecordTrials
from tune.tracking.recorder import MlflowRecorder
from tune.trial.keeper import for_workers
from tune.trial.messages import number_of
from tune.trial.trainable import HbprTrainable, TrialContext

_MAX_PENDING: Final = "TUNE_MAX_PENDING_TRIALS_PG"


@dataclass(frozen=True)
class Sitting:
    """What one run of a study's trials starts from.

    Attributes:
        storage: The study's.
        datasets: Data by data key.
        beginning: What a new study starts from; None for a resumed one.
        before: Trials of earlier sittings.
        room: Trials at a time.
        alone: Whether all workers are on this machine.
    """

    storage: Opened
    datasets: Mapping[str, Interactions]
    beginning: Beginning | None
    before: Sequence[TrialRecord]
    room: Room
    alone: bool = False

    def n_left(self, plan: StudyPlan) -> int:
        """Return the trials that have not ended, new ones included, further copies not counted."""
        made = sum(trial.parent is None for trial in self.before)
        return plan.n_trials - made + sum(trial.state == "RUNNING" for trial in self.before)


@dataclass(frozen=True)
class Watchers:
    """What looks on while trials run.

    Attributes:
        stop: Whether somebody asked the study to stop.
        budget: Whether it has spent enough.
        recorder: Records the trials.
        housekeeping: Notes what happens beside.
        callbacks: Called with every report and every end of a trial.
    """

    stop: StopRequest
    budget: Budget
    recorder: MlflowRecorder
    housekeeping: Housekeeping
    callbacks: Sequence[Listener] = ()


def run_trials(plan: StudyPlan, sitting: Sitting, watchers: Watchers, *, progress: bool) -> None:
    """Run the trials of a study that have not ended, until all have or something stops them.

    Args:
        plan: The study's.
        sitting: What there is already.
        watchers: What looks on.
        progress: Show progress on stdout.

    Raises:
        OSError: The disk of the folder is nearly full, or was.
        StudyError: Another driver went on with the study.
    """
    sweep, folder, stop = plan.settings.sweep, sitting.storage.folder, watchers.stop
    # Ray keeps names and tags of metrics as ASCII: other characters are shown as question marks.
    experiment = plan.settings.mlflow.experiment_name.encode("ascii", "replace").decode()
    timeout_s = sweep.faults.trial_timeout_s
    hang = HangGuard(timeout_s, watchers.recorder.record_hang) if timeout_s is not None else None
    disk = DiskGuard(folder.path)
    shown = None
    if progress:
        shown = Progress(
            plan.n_trials + plan.most_copies,
            plan.goals,
            before=sitting.before,
            before_s=watchers.budget.wall_s,
            wall_s=sweep.budget.wall_s,
        )
    # The guard says why before others read it; what they read is forgotten after them.
    lost = LostGuard(sitting.storage.lost)
    asked: tuple[Any, ...] = (stop, watchers.budget, disk, lost)  # of Tune's methods
    callbacks = [
        NameTasks(folder.study_id),
        sitting.room,
        hang,
        RecordTrials(watchers.recorder),
        ExportMetrics(
            {"experiment": experiment, "study": folder.study_id},
            plan.goals,
            slots=sitting.room.now,
            waiting=watchers.recorder.n_waiting,
        ),
        watchers.housekeeping,
        watchers.budget,
        shown,
        Tell(watchers.callbacks, plan.goals, stop) if watchers.callbacks else None,
        ForgetEnded(),
    ]
    try:
        with (
            stop.polled(),
            _quiet(),
            _lean_tune(),
            starting_processes_kept(),
            for_workers(sitting.storage, alone=sitting.alone) as checkpoints,
            ExitStack() as limited,
        ):
            search_alg, scheduler = _decisions(plan, sitting)
            if not plan.scheduler.limits_concurrency:
                limited.enter_context(_many_pending())
                limiter = ConcurrencyLimiter(search_alg, sitting.room.wanted())
                search_alg = sitting.room.limit(limiter)
            ray_tune.run(
                HbprTrainable.of(
                    _trial_context(plan, sitting, checkpoints),
                    f"{experiment} {folder.study_id}",
                ),
                name=time.strftime("%Y%m%d-%H%M%S"),
                storage_path=str(folder.ray),
                num_samples=sitting.n_left(plan) + plan.most_copies,
                search_alg=search_alg,
                scheduler=scheduler,
                resources_per_trial=OnFitNodes(sweep.resources, sitting.room.unfit),
                reuse_actors=True,
                max_failures=sweep.faults.max_retries,
                checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[callback for callback in callbacks if callback is not None],
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
                stop=CombinedStopper(*asked),
                raise_on_failed_trial=False,
                progress_reporter=ray_tune.CLIReporter(),  # a notebook's clears the cell's output
                verbose=0,
            )
    finally:
        if shown is not None:
            shown.close()
    if lost.problem is not None:
        raise StudyError(lost.problem)
    if disk.problem is not None and not stop.requested:
        raise OSError(errno.ENOSPC, disk.problem, str(folder.path))


def _trial_context(plan: StudyPlan, sitting: Sitting, checkpoints: Checkpoints) -> TrialContext:
    """Return what all trials share; the data go to Ray's object store."""
    return TrialContext(
        base=plan.base,
        data={key: ray.put(interactions) for key, interactions in sitting.datasets.items()},
        threads=plan.settings.sweep.resources.cpu,
        checkpoints=checkpoints,
        pause_every=plan.scheduler.pause_every,
        costs=plan.goals.costs,
        evaluate_at=plan.scheduler.evaluate_at(plan.max_epochs),
        searched=(plan.settings.sweep.space,),
    )


def _decisions(plan: StudyPlan, sitting: Sitting) -> tuple[Searcher, TrialScheduler]:
    """Return what Tune asks for trials, and what it asks whether they go on."""
    sweep, folder = plan.settings.sweep, sitting.storage.folder
    searcher = OptunaSearcher(
        plan.space,
        folder.path,
        goals=plan.goals,
        algorithm=sweep.search.algorithm,
        seed=sweep.search.seed,
        num_trials=plan.n_trials,
        beginning=sitting.beginning,
    )
    return plan.scheduler.make(
        SchedulerContext(
            metric=sweep.metric,
            max_epochs=plan.max_epochs,
            n_trials=plan.n_trials,
            given=plan.given,
            before=sitting.before,
            searcher=searcher,
            space=plan.space,
            seed=sweep.search.seed,
            slots=sitting.room.wanted,
            copy_checkpoint=sitting.storage.copy,
        )
    )


@contextmanager
def _lean_tune() -> Iterator[None]:
    """Keep Tune from two things that cost seconds before the first trial.

    It gives actors variables of the driver. Ray then starts a process for each instead of taking
    one that waits, and its dashboard shows them, the keys of object stores among them. And it
    imports MLflow, to count for Ray's statistics which callbacks are in use.
    """
    changed: tuple[tuple[Any, str, Any], ...] = (
        (class_cache, "DEFAULT_ENV_VARS", {}),
        (class_cache, "ENV_VARS_TO_PROPAGATE", set()),
        (usage, "tag_callbacks", lambda callbacks: False),
    )
    before = [getattr(module, name) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(changed, before, strict=True):
            setattr(module, name, value)


@contextmanager
def _many_pending() -> Iterator[None]:
    """Let Tune start as many trials at once as the limiter gives it, however few it gave at first.

    It reads how many may wait for a node once, and a study may begin on a cluster without any.
    """
    before = os.environ.get(_MAX_PENDING)
    os.environ.setdefault(_MAX_PENDING, "1000")
    try:
        yield
    finally:
        if before is None:
            del os.environ[_MAX_PENDING]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what is reported elsewhere, in plain words.

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
