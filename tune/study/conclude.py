"""A study's end: its answer, and the answer written down."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hbpr.data.interactions import Interactions
from hbpr.tracking import tags as tag
from hbpr.tracking.about import exam_of
from hbpr.tracking.findings import Findings, RankCorrelation, Winner
from hbpr.tracking.findings_text import compared_text, importance_text, validation_text
from hbpr.tracking.records import Identity, Origin, StudyRecord, Times, Tracking, TrialRecord
from hbpr.tracking.run_log import MAX_TAG
from hbpr.tracking.store import mask_uri
from tune.answer.answer import Answer, find_answer
from tune.answer.early_order import rank_correlations, warning_of
from tune.answer.importance import importance
from tune.answer.lineage import describe
from tune.answer.result import StudyResult
from tune.report.draft import Draft
from tune.report.note import study_note
from tune.report.progress import Count
from tune.report.summary import write_page, write_summary
from tune.settings import StudyPlan
from tune.storage.folder import StudyFolder
from tune.storage.trials import read_journal
from tune.study.housekeeping import Housekeeping
from tune.study.versions import versions
from tune.tracking.events import without_passwords
from tune.tracking.history import failure_notes, restart_notes
from tune.tracking.recorder import MlflowRecorder
from tune.trial.data import data_of


@dataclass(frozen=True)
class Conclusion:
    """The end of a sitting: from the trials in the journal to the answer written down.

    Attributes:
        plan: The study's.
        datasets: Data by data key.
        folder: The study's.
        recorder: Open; it is closed at the end.
        housekeeping: How long trials ran.
        busy_cpu_s: CPU seconds that trials spent on training and evaluation.
        cpus: CPUs that trials could use.
        slots: Trials at a time.
        progress: Show progress on stdout.
        started: When the sitting began, by `time.monotonic`.
        before_s: Seconds in which trials of earlier sittings ran.
    """

    plan: StudyPlan
    datasets: Mapping[str, Interactions]
    folder: StudyFolder
    recorder: MlflowRecorder
    housekeeping: Housekeeping
    busy_cpu_s: float
    cpus: float
    slots: int
    progress: bool
    started: float
    before_s: float = 0.0

    def reach(self, ended: str | None) -> StudyResult:
        """Find the answer, and write it down: for people, for programs and in MLflow.

        Args:
            ended: The budget that ended the search; None where all trials ran.
        """
        folder, recorder = self.folder, self.recorder
        trials = read_journal(folder.path, self.plan.space)
        searched = self._searched(trials)
        draft = Draft(searched)  # while the answer is worked out
        answer = find_answer(
            self.plan,
            trials,
            self.datasets,
            metrics_at=recorder.metrics_at,
            folder=folder,
            slots=self.slots,
            failure=next(iter(recorder.failures.values()), None),
            count=Count("finalists", shown=self.progress),
        )
        answer.final.system.save(folder.model)
        record = self._recorded(searched, answer, ended)
        for trial in trials:
            repeats = answer.repeats.by_trial.get(trial.number, [])
            recorder.record_repeats(trial.number, trial.values, repeats)
        self._log(answer, record)
        record = self._with_runs(record, complete=True)
        if write_page(record, folder.page, draft.drawn()):  # while MLflow takes the model
            recorder.record_files([folder.page])
        ended_with = self._with_runs(record, recorder.finish("FINISHED"))
        if _told_of_mlflow(ended_with) != _told_of_mlflow(record):
            write_page(ended_with, folder.page, draft.drawn())
        record = ended_with
        write_summary(record, folder)
        folder.drop_leftovers()
        return StudyResult(record, answer.final.system, folder.path, folder.model)

    def _searched(self, trials: Sequence[TrialRecord]) -> StudyRecord:
        """Return what the search came to."""
        settings, folder, runs = self.plan.settings, self.folder, self.recorder.runs
        return StudyRecord(
            identity=Identity(
                folder.study_id,
                f"study {folder.study_id}",
                settings.mlflow.experiment_name,
                folder.told,
                f"{folder.told}/{folder.model.name}",
            ),
            tracking=Tracking(mask_uri(settings.mlflow.tracking_uri)),
            goals=self.plan.goals,
            trials=tuple(replace(each, run=runs.get(each.number)) for each in trials),
            settings=without_passwords(settings.model_dump(mode="json")),
            origin=Origin(
                {key: data.fingerprint for key, data in self.datasets.items()},
                versions(),
                exam_of(next(iter(self.datasets.values()))),
            ),
        )

    def _recorded(self, searched: StudyRecord, answer: Answer, ended: str | None) -> StudyRecord:
        """Return what the trials and the answer come to; what MLflow says comes later."""
        goals, trials = self.plan.goals, searched.trials
        early = self._early(trials)
        return replace(
            searched,
            winner=Winner(
                answer.winner.number,
                answer.winner.values,
                answer.value,
                answer.best_epoch,
                answer.validation,
                answer.final.test,
                tuple(answer.stages),
                n_users=answer.n_users,
            ),
            baselines=answer.final.baselines,
            findings=Findings(
                finalists=tuple(answer.finalists),
                comparisons=tuple(answer.comparisons),
                importance=importance(trials, self.plan.space, goals, answer.winner.number),
                early=tuple(early),
                front=tuple(each.number for each in goals.front(trials)) if goals.several else (),
            ),
            times=self._times(),
            ended=ended,
            notes=tuple(self._notes(answer, early)),
        )

    def _early(self, trials: Sequence[TrialRecord]) -> list[RankCorrelation]:
        growth = self.plan.base.training.growth
        return rank_correlations(
            [trial.reports for trial in trials if trial.state == "COMPLETE"],
            self.plan.scheduler.decision_epochs(self.plan.max_epochs),
            *([growth.at] if growth else []),
            stopped=[trial.reports for trial in trials if trial.state == "PRUNED"],
        )

    def _times(self) -> Times:
        wall_s = time.monotonic() - self.started
        searched_s = self.housekeeping.search_s
        return Times(wall_s, searched_s, self.busy_cpu_s, self.cpus, self.before_s)

    def _notes(self, answer: Answer, early: Sequence[RankCorrelation]) -> list[str]:
        """Return what went wrong on the way and was made good, and what to know of the winner."""
        notes = restart_notes(self.recorder.n_restarts, self.recorder.n_hangs)
        notes += failure_notes(self.recorder.failures)
        notes += answer.repeats.notes()
        warning = warning_of(early)
        notes += [warning] if warning else []
        schedule = describe(answer.stages, answer.best_epoch)
        if schedule is not None:
            notes.append(f"the winner's weights went through {schedule}; so does its refit")
        return notes

    def _log(self, answer: Answer, record: StudyRecord) -> None:
        """Record the answer on the study's run in MLflow."""
        sweep, final, front = self.plan.settings.sweep, answer.final, record.findings.front
        metrics: dict[str, float] = {}
        if answer.finalists:
            first = answer.finalists[0]
            metrics = {"final/mean": first.mean, "final/deviation": first.deviation}
        data = data_of(final.system.settings, self.datasets)
        registered = {
            tag.METRIC: sweep.metric,
            tag.VALUE: f"{answer.value:.6g}",
            tag.DATA: data.fingerprint,
            tag.EXAM: data.exam,
            tag.STUDY_ID: self.folder.study_id,
            tag.TRIAL: answer.winner.number,
        }
        if record.goals.several:
            self.recorder.record_front(front)
        schedule = describe(answer.stages, answer.best_epoch)
        better = {tag.BETTER: ", ".join(record.better)} if record.better else {}
        if sweep.final.register_model != "always":
            registered |= better
        tags = {tag.FRONT: ",".join(map(str, front))} if front else {}
        tags |= {tag.NOTE: study_note(record), **better}
        tags |= {tag.SCHEDULE: schedule} if schedule else {}
        mattered = importance_text(record.findings.importance)
        assert record.winner is not None
        long = {
            tag.IMPORTANCE: mattered,
            tag.COMPARED: compared_text(record.findings.comparisons),
            tag.VALIDATION: validation_text(record.winner, record.baselines),
        }
        tags |= {name: text for name, text in long.items() if len(text) <= MAX_TAG}
        self.recorder.record_final(
            record.winner,
            record.baselines,
            model_folder=self.folder.model,
            tags=tags,
            metrics=metrics,
            register=registered if sweep.final.register_model else None,
        )

    def _with_runs(self, record: StudyRecord, complete: bool) -> StudyRecord:
        """Add what MLflow has answered by now."""
        recorder, runs = self.recorder, self.recorder.run_ids
        assert record.winner is not None
        return replace(
            record,
            tracking=replace(
                record.tracking,
                run_id=recorder.study_run_id,
                view=recorder.view_path(),
                away_s=recorder.away_s,
                arrival="complete" if complete else "partial",
            ),
            trials=tuple(replace(each, run_id=runs.get(each.number)) for each in record.trials),
            winner=replace(record.winner, registered=recorder.registered),
        )


def _told_of_mlflow(record: StudyRecord) -> tuple[object, ...]:
    """Return what the page says of MLflow: whether it has all, and the ids of its runs."""
    tracking = record.tracking
    return tracking.arrival, tracking.away_s, [trial.run_id for trial in record.trials]
