"""A study's end: its answer, and the answer written down."""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hbpr.data.interactions import Interactions
from hbpr.tracking.records import TrialRecord
from tune.answer.answer import Answer, find_answer
from tune.answer.early_order import RankCorrelation, rank_correlations, warning_of
from tune.answer.importance import importance
from tune.answer.lineage import describe
from tune.answer.result import StudyResult
from tune.report.page import write_page
from tune.report.terminal import write_text
from tune.schedulers.halving import decision_epochs
from tune.settings import StudySettings
from tune.space import Space
from tune.storage import folder as folders
from tune.storage.folder import StudyFolder
from tune.storage.journal import read_journal
from tune.study.faults import failure_notes, restart_notes
from tune.study.housekeeping import Watch
from tune.tracking.recorder import MlflowRecorder
from tune.trial.data import data_of


@dataclass(frozen=True)
class Conclusion:
    """The end of a sitting: from the trials in the journal to the answer written down.

    Attributes:
        settings: The study's.
        space: The study's.
        datasets: Data by data key.
        folder: The study's.
        recorder: Open; it is closed at the end.
        watch: How long trials ran.
        cpus: CPUs that trials could use.
        slots: Trials at a time.
        progress: Show progress on stdout.
        started: When the sitting began, by `time.monotonic`.
    """

    settings: StudySettings
    space: Space
    datasets: Mapping[str, Interactions]
    folder: StudyFolder
    recorder: MlflowRecorder
    watch: Watch
    cpus: float
    slots: int
    progress: bool
    started: float

    def reach(self, ended: str | None) -> StudyResult:
        """Find the answer, and write it down: for people, for programs and in MLflow.

        Args:
            ended: The budget that ended the search; None where all trials ran.
        """
        folder, recorder = self.folder, self.recorder
        trials = read_journal(folder.path, self.space)
        answer = find_answer(
            self.settings,
            trials,
            self.datasets,
            metrics_at=recorder.metrics_at,
            folder=folder,
            slots=self.slots,
            failure=next(iter(recorder.failures.values()), None),
            progress=self.progress,
        )
        answer.final.system.save(folder.model)
        result = self._result(answer, trials, ended)
        write_page(result, trials, folder.page)
        for trial in trials:
            repeats = answer.repeats.by_trial.get(trial.number, [])
            recorder.record_repeats(trial.number, trial.values, repeats)
        self._record(answer, [trial.number for trial in result.front])
        complete = recorder.finish("FINISHED")
        result = self._with_records(result, complete)
        write_page(result, trials, folder.page)
        write_text(result, folder.text)
        folders.write_json(folder.summary, result.as_json())
        folder.drop_leftovers()
        return result

    def _result(
        self, answer: Answer, trials: Sequence[TrialRecord], ended: str | None
    ) -> StudyResult:
        """Return what the trials and the answer come to; MLflow's part comes later."""
        settings, sweep, folder = self.settings, self.settings.sweep, self.folder
        goals = sweep.goals()
        front = goals.front(trials) if goals.several else []
        growth = settings.base_trial().training.growth
        early = rank_correlations(
            [trial.reports for trial in trials if trial.state == "COMPLETE"],
            decision_epochs(sweep.scheduler, settings.max_epochs()),
            *([growth.at] if growth else []),
            stopped=[trial.reports for trial in trials if trial.state == "PRUNED"],
        )
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
            wall_s=time.monotonic() - self.started,
            search_s=self.watch.search_s,
            busy_cpu_s=self.watch.busy_cpu_s,
            cpus=self.cpus,
            ease_metrics=answer.final.ease,
            epochs=answer.best_epoch,
            finalists=answer.finalists,
            comparisons=answer.comparisons,
            importance=importance(trials, self.space, goals),
            early=early,
            ended=ended,
            stages=answer.stages,
            notes=self._notes(answer, early),
            goals=goals,
            front=front,
        )

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

    def _record(self, answer: Answer, front: Sequence[int]) -> None:
        sweep, final = self.settings.sweep, answer.final
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
            "hbpr.data": data_of(final.system.settings, self.datasets).fingerprint,
            "hbpr.study_id": self.folder.study_id,
            "hbpr.trial": answer.winner.number,
        }
        if sweep.goals().several:
            self.recorder.record_front(front)
        schedule = describe(answer.stages, answer.best_epoch)
        tags = {"hbpr.front": ",".join(map(str, front))} if front else {}
        tags |= {"hbpr.schedule": schedule} if schedule else {}
        self.recorder.record_final(
            best_trial=answer.winner.number,
            best_value=answer.value,
            values=answer.winner.values,
            test=final.test,
            baseline=final.baseline,
            model_folder=self.folder.model,
            files=[self.folder.page],
            tags=tags,
            metrics=metrics,
            register=registered if sweep.final.register_model else None,
        )

    def _with_records(self, result: StudyResult, complete: bool) -> StudyResult:
        """Add what MLflow has answered by now."""
        recorder, notes = self.recorder, list(result.notes)
        rest = f"{folders.REST_SENT_BY} {shlex.quote(str(self.folder.path))}"
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
            wall_s=time.monotonic() - self.started,
        )
