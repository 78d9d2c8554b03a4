"""A study from its settings to its result: check, search, refit, score, record.

The journal in the study's folder is the one source of truth. Every sitting of a study is a fresh
Ray Tune run over the trials that the journal does not know as ended; see
``docs/decisions/0006-warm-actors-and-steps.md``.
"""

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.connect.ray import Runtime, ray_runtime
from hbpr.data.interactions import Interactions
from hbpr.errors import StudyError
from hbpr.files import write_json
from hbpr.tracking import tags as tag
from hbpr.tracking.records import TrialRecord
from hbpr.tracking.store import check_store, open_client
from tune.answer.answer import Answer, find_answer
from tune.answer.early_order import rank_correlations, warning_of
from tune.answer.importance import importance
from tune.answer.lineage import describe
from tune.answer.result import StudyResult
from tune.report.page import write_page
from tune.report.progress import say
from tune.report.terminal import write_text
from tune.settings import StudyPlan, StudySettings, make_plan
from tune.storage import folder as folders
from tune.storage import resume as resuming
from tune.storage.beginning import Beginning
from tune.storage.folder import StudyFolder
from tune.storage.journal import prune_running
from tune.storage.trials import read_journal
from tune.study.budget import Budget
from tune.study.disk import check_writable, disk_problem
from tune.study.housekeeping import Housekeeping
from tune.study.interrupt import StopRequest, StudyInterrupted, orderly_stop
from tune.study.ray_run import Sitting, Watchers, run_trials
from tune.tracking.events import Winner
from tune.tracking.history import failure_notes, restart_notes
from tune.tracking.recorder import MlflowRecorder
from tune.trial.data import data_of, load_datasets, n_bytes, trial_slots
from tune.warm_start.earlier import read_beginning

_log = logging.getLogger(__name__)

__all__ = ["StudyInterrupted", "StudyResult", "TrialRecord", "run_study"]


def run_study(
    study: StudySettings | StudyPlan,
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
        study: What to search, and how; settings are planned here.
        data: Data already in memory; None reads what ``data`` in the settings names.
        address: Ray cluster to join, see `cluster.connect.ray.ray_runtime`.
        cpus: CPUs of a private Ray; None: all of the machine.
        progress: Show progress on stdout.
        resume: Folder of an unfinished study to go on with.

    Returns:
        The trials, the winner, and the winner refitted, scored and saved.

    Raises:
        ConfigError: A setting cannot be used.
        SpaceError: A dimension, or a point to start with, is wrong.
        DataError: The data are missing or wrong.
        TrackingError: MLflow cannot be used.
        ClusterError: No Ray, or one that cannot run a trial.
        StudyFolderError: There is no such study to resume, or it was another one.
        StudyError: Another process runs it, no trial came to its end, or the disk is full.
        StudyInterrupted: Ctrl-C; the study can be resumed.
    """
    started = time.monotonic()
    if resume is not None:
        resuming.check_is_study(Path(resume))
    plan = study if isinstance(study, StudyPlan) else make_plan(study)
    settings = plan.settings
    beginning = None if resume else read_beginning(plan)
    check_store(settings.mlflow.tracking_uri)
    datasets = load_datasets(plan, data)
    fingerprints = {key: interactions.fingerprint for key, interactions in datasets.items()}
    folder = None
    experiment = folders.experiment_folder(settings)
    check_writable(experiment)
    if resume is not None:
        folder = resuming.reopen(Path(resume), settings, fingerprints)
    data_bytes = sum(map(n_bytes, datasets.values()))
    tell = say if progress else _log.info
    with (
        folders.removed_if_empty(experiment),
        orderly_stop() as stop,
        ray_runtime(address, cpus=cpus, data_bytes=data_bytes, tell=tell) as ray,
    ):
        slots = trial_slots(settings, ray)
        open_client(settings.mlflow.tracking_uri)  # makes its file, now that trials will run
        folder = folder or folders.create(settings, fingerprints)
        return _Study(plan, datasets, folder, stop, beginning).run(
            ray, slots, progress=progress, started=started
        )


class _Study:
    """One sitting of a study."""

    def __init__(
        self,
        plan: StudyPlan,
        datasets: Mapping[str, Interactions],
        folder: StudyFolder,
        stop: StopRequest,
        beginning: Beginning | None = None,
    ) -> None:
        self._plan = plan
        self._settings = settings = plan.settings
        self._goals = plan.goals
        self._space = plan.space
        self._datasets = datasets
        self._folder = folder
        self._stop = stop
        self._beginning = beginning
        self._notes: list[str] = []
        self._housekeeping = Housekeeping(folder)
        self._busy_cpu_s = 0.0
        self._recorder = MlflowRecorder(
            folder.path,
            tracking_uri=settings.mlflow.tracking_uri,
            experiment_name=settings.mlflow.experiment_name,
            study_id=folder.study_id,
            settings=settings.model_dump(mode="json"),
            monitor=settings.sweep.metric,
            others=self._goals.metrics[1:],
        )

    def run(self, ray: Runtime, slots: int, *, progress: bool, started: float) -> StudyResult:
        self._recorder.open()
        try:
            self._recorder.catch_up(self._journal())
            ended = self._search(slots, progress=progress)
            return self._conclude(ray, slots, ended, progress=progress, started=started)
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
                f"{shlex.quote(str(self._folder.path))}"
            ) from error

    def _journal(self) -> list[TrialRecord]:
        return read_journal(self._folder.path, self._space)

    def _search(self, slots: int, *, progress: bool) -> str | None:
        """Run the trials that have not ended; return what ended the search before that, if so."""
        before = self._journal()
        budget = Budget(
            self._settings.sweep.budget, self._folder.spent, before=before, goals=self._goals
        )
        sitting = Sitting(
            self._folder, self._datasets, beginning=self._beginning, before=before, slots=slots
        )
        left = sitting.n_left(self._plan)
        if left > 0 and budget.reached is None:
            watchers = Watchers(self._stop, budget, self._recorder, self._housekeeping)
            run_trials(self._plan, sitting, watchers, progress=progress)
            budget.save()
            self._busy_cpu_s = self._settings.sweep.resources.cpu * budget.sitting_train_s
        if self._stop.requested:
            raise KeyboardInterrupt
        if budget.reached is not None and left > 0:
            prune_running(self._folder.path)
            self._recorder.catch_up(self._journal())
            return budget.reached
        return None

    def _conclude(
        self, ray: Runtime, slots: int, ended: str | None, *, progress: bool, started: float
    ) -> StudyResult:
        """Find the answer, and write it down: for people, for programs and in MLflow."""
        folder, recorder = self._folder, self._recorder
        trials = self._journal()
        answer = find_answer(
            self._plan,
            trials,
            self._datasets,
            metrics_at=recorder.metrics_at,
            folder=folder,
            slots=slots,
            failure=next(iter(recorder.failures.values()), None),
            progress=progress,
        )
        answer.final.system.save(folder.model)
        result = self._result(answer, trials, ended=ended, cpus=ray.cpus, started=started)
        write_page(result, trials, folder.page)
        for trial in trials:
            repeats = answer.repeats.by_trial.get(trial.number, [])
            recorder.record_repeats(trial.number, trial.values, repeats)
        self._record(answer, [trial.number for trial in result.front])
        complete = recorder.finish("FINISHED")
        result = self._with_records(result, complete, started)
        write_page(result, trials, folder.page)
        write_text(result, folder.text)
        write_json(folder.summary, result.as_json())
        folder.drop_leftovers()
        return result

    def _result(
        self,
        answer: Answer,
        trials: Sequence[TrialRecord],
        *,
        ended: str | None,
        cpus: float,
        started: float,
    ) -> StudyResult:
        """Return what the trials and the answer come to; MLflow's part comes later."""
        settings, sweep, folder = self._settings, self._settings.sweep, self._folder
        front = self._goals.front(trials) if self._goals.several else []
        growth = self._plan.base.training.growth
        early = rank_correlations(
            [trial.reports for trial in trials if trial.state == "COMPLETE"],
            sweep.scheduler.decision_epochs(self._plan.max_epochs),
            *([growth.at] if growth else []),
            stopped=[trial.reports for trial in trials if trial.state == "PRUNED"],
        )
        warning = warning_of(early)
        self._notes += restart_notes(self._recorder.n_restarts, self._recorder.n_hangs)
        self._notes += failure_notes(self._recorder.failures)
        self._notes += answer.repeats.notes()
        self._notes += [warning] if warning else []
        schedule = describe(answer.stages, answer.best_epoch)
        if schedule is not None:
            self._notes.append(f"the winner's weights went through {schedule}; so does its refit")
        return StudyResult(
            study_id=folder.study_id,
            folder=folder.path,
            experiment=settings.mlflow.experiment_name,
            tracking_uri=settings.mlflow.tracking_uri,
            run_id=None,
            view=None,
            metric=sweep.metric,
            trials=trials,
            best=answer.winner,
            validation_metrics=answer.validation,
            test_metrics=answer.final.test,
            baseline_metrics=answer.final.baseline,
            system=answer.final.system,
            model_folder=folder.model,
            wall_s=time.monotonic() - started,
            search_s=self._housekeeping.search_s,
            busy_cpu_s=self._busy_cpu_s,
            cpus=cpus,
            ease_metrics=answer.final.ease,
            epochs=answer.best_epoch,
            finalists=answer.finalists,
            comparisons=answer.comparisons,
            importance=importance(trials, self._space, self._goals),
            early=early,
            ended=ended,
            stages=answer.stages,
            notes=self._notes,
            goals=self._goals,
            front=front,
        )

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
            tag.METRIC: sweep.metric,
            tag.VALUE: f"{answer.value:.6g}",
            tag.DATA: data_of(final.system.settings, self._datasets).fingerprint,
            tag.STUDY_ID: self._folder.study_id,
            tag.TRIAL: answer.winner.number,
        }
        if self._goals.several:
            self._recorder.record_front(front)
        schedule = describe(answer.stages, answer.best_epoch)
        tags = {tag.FRONT: ",".join(map(str, front))} if front else {}
        tags |= {tag.SCHEDULE: schedule} if schedule else {}
        self._recorder.record_final(
            Winner(
                answer.winner.number,
                answer.value,
                answer.winner.values,
                test=final.test,
                baseline=final.baseline,
            ),
            model_folder=self._folder.model,
            files=[self._folder.page],
            tags=tags,
            metrics=metrics,
            register=registered if sweep.final.register_model else None,
        )

    def _with_records(self, result: StudyResult, complete: bool, started: float) -> StudyResult:
        """Add what MLflow has answered by now."""
        recorder, notes = self._recorder, list(self._notes)
        rest = f"{folders.REST_SENT_BY} {shlex.quote(str(self._folder.path))}"
        if recorder.away_s:
            rest = "all records have arrived" if complete else rest
            notes.append(f"MLflow did not answer for {recorder.away_s:.0f} s; {rest}")
        elif not complete:
            notes.append(f"MLflow did not take all records at once; {rest}")
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
