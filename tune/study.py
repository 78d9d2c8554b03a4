"""A study from its settings to its result: check, search, refit, score, record.

The journal in the study's folder is the one source of truth. Every sitting of a study is a fresh
Ray Tune run over the trials that the journal does not know as ended; see
``docs/decisions/0006-warm-actors-and-steps.md``.
"""

import errno
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hbpr.data.interactions import Interactions
from hbpr.errors import StudyError
from hbpr.mlflow_store import open_client
from hbpr.settings.load import resolve_paths
from tune import folder as folders
from tune.answer import Answer, find_answer
from tune.beginning import Beginning
from tune.checks import data_of, load_datasets, n_bytes, trial_slots
from tune.earlier import read_beginning
from tune.faults import DiskGuard, HangGuard, check_writable, disk_problem
from tune.folder import StudyFolder
from tune.interrupt import StopRequest, StudyInterrupted, orderly_stop
from tune.journal import JournalTrial, prune_running, quiet_optuna, read_journal
from tune.lineage import describe
from tune.result import StudyResult, TrialRecord
from tune.runtime import Runtime, ray_runtime
from tune.settings import StudySettings
from tune.space import Space

__all__ = ["StudyInterrupted", "StudyResult", "TrialRecord", "run_study"]

logger = logging.getLogger(__name__)


def run_study(
    settings: StudySettings,
    *,
    data: Interactions | None = None,
    address: str | None = None,
    cpus: int | None = None,
    progress: bool = True,
    resume: str | Path | None = None,
) -> StudyResult:
    """Run a study to its result.

    All that can be checked is checked before Ray starts and before anything is recorded. A trial
    that fails ends alone. Ctrl-C ends the study in order.

    Args:
        settings: What to search, and how.
        data: Data already in memory; None reads what ``data`` in the settings names.
        address: Ray cluster to join, see `tune.runtime.ray_runtime`.
        cpus: CPUs of a private Ray; None: all of the machine.
        progress: Show progress on stdout.
        resume: Folder of an unfinished study to go on with.

    Returns:
        The trials, the winner, and the winner refitted, scored and saved.

    Raises:
        ConfigError: A setting cannot be used.
        DataError: The data are missing or wrong.
        TrackingError: MLflow cannot be used.
        ClusterError: No Ray, or one that cannot run a trial.
        StudyError: The study cannot be resumed, no trial came to its end, or the disk is full.
        StudyInterrupted: Ctrl-C; the study can be resumed.
    """
    started = time.monotonic()
    settings = resolve_paths(settings)
    space = settings.search_space()
    beginning = None if resume else read_beginning(settings, space)
    open_client(settings.mlflow.tracking_uri)
    datasets = load_datasets(settings, space, data)
    fingerprints = {key: interactions.fingerprint for key, interactions in datasets.items()}
    folder = None
    check_writable(folders.experiment_folder(settings))
    if resume is not None:
        folder = folders.reopen(Path(resume), settings, fingerprints)
    data_bytes = sum(map(n_bytes, datasets.values()))
    with orderly_stop() as stop, ray_runtime(address, cpus=cpus, data_bytes=data_bytes) as ray:
        slots = trial_slots(settings, ray)
        folder = folder or folders.create(settings, fingerprints)
        return _Study(settings, space, datasets, folder, stop, beginning).run(
            ray, slots, progress=progress, started=started
        )


class _Study:
    """One sitting of a study."""

    def __init__(
        self,
        settings: StudySettings,
        space: Space,
        datasets: Mapping[str, Interactions],
        folder: StudyFolder,
        stop: StopRequest,
        beginning: Beginning | None = None,
    ) -> None:
        from tune.recorder import MlflowRecorder
        from tune.watch import Watch

        self._settings = settings
        self._goals = settings.sweep.goals()
        self._space = space
        self._datasets = datasets
        self._folder = folder
        self._stop = stop
        self._beginning = beginning
        self._notes: list[str] = []
        self._watch = Watch(folder, cpus=settings.sweep.resources.cpu)
        self._recorder = MlflowRecorder(
            folder.path,
            tracking_uri=settings.mlflow.tracking_uri,
            experiment_name=settings.mlflow.experiment_name,
            study_id=folder.study_id,
            study_name=f"study {folder.study_id}",
            settings=settings.model_dump(mode="json"),
            monitor=settings.sweep.metric,
            others=self._goals.metrics[1:],
        )

    def run(self, ray: Runtime, slots: int, *, progress: bool, started: float) -> StudyResult:
        self._recorder.open()
        try:
            self._recorder.catch_up(self._journal())
            ended = self._search(slots, progress=progress)
            return self._conclude(ray, slots, ended, started)
        except KeyboardInterrupt as error:
            self._recorder.finish("KILLED")
            raise StudyInterrupted(self._folder.path) from error
        except BaseException as error:
            problem = disk_problem(error)
            self._recorder.finish("KILLED" if problem else "FAILED")
            if problem is None:
                raise
            raise StudyError(
                f"the study cannot write to its folder {self._folder.path}: {problem}. What it has "
                "is kept. Free some space, then go on with: hbpr study resume "
                f"{self._folder.path}"
            ) from error

    def _journal(self) -> list[JournalTrial]:
        return read_journal(self._folder.path, self._space)

    def _search(self, slots: int, *, progress: bool) -> str | None:
        """Run the trials that have not ended; return what ended the search before that, if so."""
        from tune.budget import Budget

        before, sweep = self._journal(), self._settings.sweep
        budget = Budget(sweep.budget, self._folder.spent, before=before, goals=self._goals)
        made = sum(trial.parent is None for trial in before)
        left = self._settings.n_trials() - made + sum(trial.state == "RUNNING" for trial in before)
        if left > 0 and budget.reached is None:
            self._run_trials(left, slots, before, budget, progress=progress)
            budget.save()
        if self._stop.requested:
            raise KeyboardInterrupt
        if budget.reached is not None and left > 0:
            prune_running(self._folder.path)
            self._recorder.catch_up(self._journal())
            return budget.reached
        return None

    def _run_trials(
        self, left: int, slots: int, before: list[JournalTrial], budget: Any, *, progress: bool
    ) -> None:
        import ray
        from ray import tune as ray_tune
        from ray.tune.stopper import CombinedStopper

        from tune.progress import Progress
        from tune.searcher import OptunaSearcher
        from tune.trainable import HbprTrainable, TrialContext

        sweep, total = self._settings.sweep, self._settings.n_trials()
        most_copies, population = self._settings.most_copies(), sweep.scheduler.kind == "pbt"
        shown = Progress(total + most_copies, self._goals, before=before) if progress else None
        timeout_s = sweep.faults.trial_timeout_s
        hang = HangGuard(timeout_s) if timeout_s is not None else None
        disk = DiskGuard(self._folder.path)
        context = TrialContext(
            base=self._settings.base_trial(),
            data={key: ray.put(interactions) for key, interactions in self._datasets.items()},
            threads=sweep.resources.cpu,
            checkpoints=self._folder.checkpoints,
            pause_every=sweep.scheduler.interval if population else 0,
            costs=self._goals.costs,
        )
        searcher = OptunaSearcher(
            self._space,
            folder=self._folder.path,
            study_id=self._folder.study_id,
            metric=sweep.metric,
            goals=self._goals,
            algorithm=sweep.search.algorithm,
            seed=sweep.search.seed,
            num_trials=total,
            beginning=self._beginning,
        )
        search_alg, scheduler = self._decisions(searcher, slots, before)
        callbacks = [hang, self._recorder, self._watch, budget, shown]
        try:
            with self._stop.polled(), _quiet():
                ray_tune.run(
                    HbprTrainable.of(context),
                    name=time.strftime("%Y%m%d-%H%M%S"),
                    storage_path=str(self._folder.ray),
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
                    stop=CombinedStopper(self._stop, budget, disk),
                    raise_on_failed_trial=False,
                    verbose=0,
                )
        finally:
            if shown is not None:
                shown.close()
        if self._watch.n_restarts:
            self._notes.append(f"crashes of a trial's process made good: {self._watch.n_restarts}")
        if hang is not None and hang.n_killed:
            self._notes.append(f"processes of trials that hung and were killed: {hang.n_killed}")
        if disk.problem is not None and not self._stop.requested:
            raise OSError(errno.ENOSPC, disk.problem, str(self._folder.path))

    def _decisions(self, searcher: Any, slots: int, before: list[JournalTrial]) -> tuple[Any, Any]:
        """Return what Tune asks for trials, and what it asks whether they go on."""
        sweep = self._settings.sweep
        if sweep.scheduler.kind == "pbt":
            from tune.pbt import PopulationScheduler, PopulationSearcher

            asked = PopulationSearcher(searcher, sweep.metric)
            return asked, PopulationScheduler(
                sweep.scheduler,
                asked,
                metric=sweep.metric,
                space=self._space,
                seed=sweep.search.seed,
                size=self._settings.n_trials(),
                slots=slots,
                checkpoints=self._folder.checkpoints,
                before=before,
            )
        from tune.schedulers import make_scheduler

        return searcher, make_scheduler(
            sweep.scheduler,
            metric=sweep.metric,
            max_epochs=self._settings.max_epochs(),
            before=before,
        )

    def _conclude(self, ray: Runtime, slots: int, ended: str | None, started: float) -> StudyResult:
        """Find the answer, and write it down: for people, for programs and in MLflow."""
        from tune.fidelity import rank_correlations, warning_of
        from tune.importance import importance
        from tune.page import write_page
        from tune.schedulers import decision_epochs
        from tune.summary import write_text

        settings, sweep, folder = self._settings, self._settings.sweep, self._folder
        trials = self._journal()
        answer = find_answer(
            settings,
            trials,
            self._datasets,
            metrics_at=self._recorder.metrics_at,
            folder=folder.finals,
            slots=slots,
            failure=self._watch.failure,
        )
        answer.final.system.save(folder.model)
        front = self._goals.front(trials) if self._goals.several else []
        records = [_record(trial) for trial in trials]
        (best,) = (record for record in records if record.number == answer.winner.number)
        growth = settings.base_trial().training.growth
        early = rank_correlations(
            [trial.reports for trial in trials if trial.state == "COMPLETE"],
            decision_epochs(sweep.scheduler, settings.max_epochs()),
            *([growth.at] if growth else []),
        )
        warning = warning_of(early)
        self._notes += [warning] if warning else []
        schedule = describe(answer.stages, answer.best_epoch)
        if schedule is not None:
            self._notes.append(f"the winner's weights went through {schedule}; so does its refit")
        result = StudyResult(
            study_id=folder.study_id,
            folder=folder.path,
            experiment=settings.mlflow.experiment_name,
            tracking_uri=settings.mlflow.tracking_uri,
            run_id=None,
            view=None,
            metric=sweep.metric,
            trials=records,
            best=best,
            validation_metrics=answer.validation,
            test_metrics=answer.final.test,
            baseline_metrics=answer.final.baseline,
            system=answer.final.system,
            model_folder=folder.model,
            wall_s=time.monotonic() - started,
            search_s=self._watch.search_s,
            busy_cpu_s=self._watch.busy_cpu_s,
            cpus=ray.cpus,
            ease_metrics=answer.final.ease,
            epochs=answer.best_epoch,
            finalists=answer.finalists,
            comparisons=answer.comparisons,
            importance=importance(trials, self._space),
            early=early,
            ended=ended,
            stages=answer.stages,
            notes=self._notes,
            goals=self._goals,
            front=[_record(trial) for trial in front],
        )
        write_page(result, trials, folder.page)
        self._record(answer, [trial.number for trial in front])
        complete = self._recorder.finish("FINISHED")
        result = self._with_records(result, complete, started)
        write_page(result, trials, folder.page)
        write_text(result, folder.text)
        folders.write_json(folder.summary, result.as_json())
        folder.drop_leftovers()
        return result

    def _record(self, answer: Answer, front: Sequence[int]) -> None:
        sweep, final = self._settings.sweep, answer.final
        metrics = {
            f"ease/{name.removeprefix('test/')}": value
            for name, value in final.ease.items()
            if name.startswith("test/")
        }
        if answer.finalists:
            first = answer.finalists[0]
            metrics |= {"final/mean": first.mean, "final/deviation": first.deviation}
        registered = {
            "hbpr.metric": sweep.metric,
            "hbpr.value": f"{answer.value:.6g}",
            "hbpr.data": data_of(final.system.settings, self._datasets).fingerprint,
            "hbpr.study_id": self._folder.study_id,
            "hbpr.trial": answer.winner.number,
        }
        if self._goals.several:
            self._recorder.record_front(front)
        schedule = describe(answer.stages, answer.best_epoch)
        tags = {"hbpr.front": ",".join(map(str, front))} if front else {}
        tags |= {"hbpr.schedule": schedule} if schedule else {}
        self._recorder.record_final(
            best_trial=answer.winner.number,
            best_value=answer.value,
            values=answer.winner.values,
            test=final.test,
            baseline=final.baseline,
            model_folder=self._folder.model,
            files=[self._folder.page],
            tags=tags,
            metrics=metrics,
            register=registered if sweep.final.register_model else None,
        )

    def _with_records(self, result: StudyResult, complete: bool, started: float) -> StudyResult:
        """Add what MLflow has answered by now."""
        recorder, notes = self._recorder, list(self._notes)
        rest = f"the rest is sent by: hbpr study sync {self._folder.path}"
        if recorder.away_s:
            rest = "all records have arrived" if complete else rest
            notes.append(f"MLflow did not answer for {recorder.away_s:.0f} s; {rest}")
        elif not complete:
            notes.append(f"MLflow does not have all records; {rest}")
        runs = recorder.run_ids
        records = [replace(record, run_id=runs.get(record.number)) for record in result.trials]
        (best,) = (record for record in records if record.number == result.best.number)
        return replace(
            result,
            trials=records,
            best=best,
            front=[replace(record, run_id=runs.get(record.number)) for record in result.front],
            run_id=recorder.study_run_id,
            view=recorder.view_path(),
            registered=recorder.registered,
            notes=notes,
            wall_s=time.monotonic() - started,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what is told elsewhere, in plain words.

    That is what Optuna notes, Tune's list of trials that were stopped, and its traceback of a disk
    that is full.
    """
    import optuna

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


def _record(trial: JournalTrial) -> TrialRecord:
    best = [epoch for epoch, value in trial.reports.items() if value == trial.value]
    return TrialRecord(
        number=trial.number,
        values=trial.values,
        state=trial.state,
        value=trial.value,
        parent=None if trial.parent is None else trial.parent.trial,
        epochs=max(trial.reports, default=0),
        best_epoch=min(best, default=0),
        measured=trial.at_best,
    )


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['trial']:05d}"
