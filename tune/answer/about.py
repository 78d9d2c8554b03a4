"""What there is to say of a study, from its record: for people in Python."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboards.words import all_notes
from hbpr.errors import StudyError
from hbpr.formats import counted
from hbpr.settings.load import dotted
from hbpr.tracking.findings import (
    BaselineRecord,
    Comparison,
    Finalist,
    Importance,
    RankCorrelation,
    Stage,
    Winner,
)
from hbpr.tracking.goals import Goals
from hbpr.tracking.records import StudyRecord, Times, TrialRecord
from hbpr.tracking.registry import Registered

if TYPE_CHECKING:
    import pandas as pd


class AboutStudy:
    """A study's record, read by names.

    `len` and iteration are over the trials, by number. What the winner came to is there once the
    study has come to its result.

    Attributes:
        record: All that its pages show, as plain data.
        folder: Folder of the study, absolute; None where it is not on this machine.
    """

    record: StudyRecord
    folder: Path | None

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self.trials)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        head = f"Study {self.study_id} of experiment {self.experiment!r}"
        lines = [f"{head}: {counted(len(self), 'trial')} ({states})"]
        winner = self.record.winner
        if winner is not None:
            lines.append(
                f"best: trial {winner.number}, {self.metric} {winner.value:.4f}, "
                f"{winner.epochs} epochs, {winner.values}"
            )
            tests = ", ".join(f"{name} {value:.4f}" for name, value in winner.test.items())
            lines += [f"test: {tests}"] if tests else []
        else:
            lines.append("unfinished")
            best = self.record.best_so_far
            if best is not None:
                lines.append(
                    f"best so far: trial {best.number}, {self.metric} {best.value:.4f}, "
                    f"{best.values}"
                )
        return "\n".join([*lines, f"folder: {self.folder}"])

    def to_frame(self) -> "pd.DataFrame":
        """Return a row a trial, by number.

        Returns:
            The searched settings under dotted names, then state, value (of `metric`; NaN without
            a report), best_epoch, epochs (the last one that was evaluated), seconds (of training
            and evaluation; NaN where unknown) and run_id; the index is the number.
        """
        import pandas as pd

        numbers = pd.Index([trial.number for trial in self.trials], name="trial")
        frame = pd.DataFrame([dotted(trial.values) for trial in self.trials], index=numbers)
        frame["state"] = [trial.state for trial in self.trials]
        frame["value"] = pd.array([trial.value for trial in self.trials], float)
        frame["best_epoch"] = pd.array([trial.best_epoch for trial in self.trials], "Int64")
        frame["epochs"] = pd.array([trial.epochs for trial in self.trials], "Int64")
        frame["seconds"] = pd.array([trial.seconds for trial in self.trials], float)
        frame["run_id"] = [trial.run_id for trial in self.trials]
        return frame

    @property
    def study_id(self) -> str:
        """Name of the study."""
        return self.record.identity.study_id

    @property
    def experiment(self) -> str:
        """MLflow experiment."""
        return self.record.identity.experiment

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps it, without a password."""
        return self.record.tracking.uri

    @property
    def run_id(self) -> str | None:
        """MLflow run of the study; None while the tracking server is away."""
        return self.record.tracking.run_id

    @property
    def metric(self) -> str:
        """What picks the winner."""
        return self.record.metric

    @property
    def goals(self) -> Goals:
        """All that trials are compared by."""
        return self.record.goals

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """All trials, by number."""
        return self.record.trials

    @property
    def states(self) -> dict[str, int]:
        """Number of trials by state."""
        return self.record.states

    @property
    def front(self) -> Sequence[TrialRecord]:
        """Trials of the Pareto front; empty where there is one objective."""
        return self.record.front

    @property
    def winner(self) -> Winner:
        """What the winning trial came to.

        Raises:
            StudyError: The study has not come to its result.
        """
        if self.record.winner is None:
            raise StudyError(
                f"study {self.study_id} has not come to its result, so it has no winner yet; go on "
                "with it by resume(), or look at best_settings and to_frame()"
            )
        return self.record.winner

    @property
    def best(self) -> TrialRecord:
        """The winning trial; of a study without a result the best one so far.

        The winner has the highest mean of the finalists, or where none were repeated the highest
        value among the trials that ran to their end.

        Raises:
            StudyError: No trial has reported a value yet.
        """
        best = self.record.best or self.record.best_so_far
        if best is None:
            raise StudyError(f"study {self.study_id}: no trial has reported a value yet")
        return best

    @property
    def best_settings(self) -> dict[str, Any]:
        """Dotted setting -> value of what was searched, in the trial that is `best`."""
        return self.best.values if self.record.winner is None else self.winner.values

    @property
    def best_value(self) -> float:
        """Value of `metric` of the trial that is `best`; the mean over the seeds of a finalist."""
        if self.record.winner is not None:
            return self.record.winner.value
        value = self.best.value
        assert value is not None, "the best trial so far has a value"
        return value

    @property
    def epochs(self) -> int:
        """Epochs of the winner's last training."""
        return self.winner.epochs

    @property
    def stages(self) -> Sequence[Stage]:
        """Settings that the winner's weights went through, its own last."""
        return self.winner.stages

    @property
    def validation_metrics(self) -> dict[str, float]:
        """The winner's, at its best epoch; means over the seeds of a finalist."""
        return self.winner.validation

    @property
    def test_metrics(self) -> dict[str, float]:
        """The refitted winner's; empty where the data have no test part."""
        return self.winner.test

    @property
    def registered(self) -> Registered | None:
        """The version of the registered model; None where there is none, or not yet."""
        return self.winner.registered

    @property
    def baselines(self) -> Sequence[BaselineRecord]:
        """What the winner is compared with."""
        return self.record.baselines

    @property
    def finalists(self) -> Sequence[Finalist]:
        """Trials that were repeated with other seeds, best mean first."""
        return self.record.findings.finalists

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """The winner against the runner-up and the baselines, user by user."""
        return self.record.findings.comparisons

    @property
    def importance(self) -> dict[str, Importance]:
        """By objective: what it costs to change one setting alone at the winner."""
        return {each.metric: each for each in self.record.findings.importance}

    @property
    def early(self) -> Sequence[RankCorrelation]:
        """How far the order of the trials where the scheduler decides is their final order."""
        return self.record.findings.early

    @property
    def times(self) -> Times:
        """What the last sitting took.

        Raises:
            StudyError: It is not known: the study has not come to its result.
        """
        if self.record.times is None:
            raise StudyError(f"study {self.study_id}: how long it took is not known")
        return self.record.times

    @property
    def ended(self) -> str | None:
        """The budget that ended the search; None where all trials ran."""
        return self.record.ended

    @property
    def notes(self) -> Sequence[str]:
        """What went wrong on the way and was made good, and what MLflow has not got."""
        return all_notes(self.record)
