"""The trials of a study as its journal has them: attributes of Optuna trials, read into records."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from hbpr.tracking.records import Parent, TrialRecord
from tune.space import Space
from tune.storage.names import JOURNAL

#: Attribute of an Optuna trial that was run by an earlier study: that study's folder.
EARLIER = "earlier_study"
#: Attribute of an Optuna trial: seconds of training and evaluation.
SECONDS = "seconds"
#: Attribute of an Optuna trial that went on from another's weights: its `Parent`.
PARENT = "parent"
#: Attribute of an Optuna trial that ended: all validation metrics of its best epoch.
METRICS = "metrics"
#: Prefix of attributes of an Optuna trial, with the epoch behind it: all that a report said of
#: several objectives or limits, the first objective first. Optuna keeps no steps of such a trial.
MEASURED = "epoch:"


class JournalReader:
    """Reads a study's journal again and again, also while its driver writes: what is new alone.

    Args:
        folder: The study's folder.
        space: The study's space, which knows how values are written.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        self._path, self._space = Path(folder) / JOURNAL, space
        self._storage: JournalStorage | None = None
        self._ended: dict[int, TrialRecord] = {}

    def read(self) -> list[TrialRecord]:
        """Return the study's own trials by number, as `read_journal` does."""
        if self._storage is None:
            if not self._path.exists():
                return []
            self._storage = JournalStorage(JournalFileBackend(str(self._path)))
        storage = self._storage
        trials = [
            trial
            for study in storage.get_all_studies()
            for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        ]
        own = [trial for trial in trials if EARLIER not in trial.user_attrs]
        for number, trial in enumerate(own):
            if number not in self._ended and trial.state.is_finished():
                self._ended[number] = record_of(number, trial, self._space)
        return [
            self._ended.get(number) or record_of(number, trial, self._space)
            for number, trial in enumerate(own)
        ]


def read_journal(folder: Path, space: Space) -> list[TrialRecord]:
    """Read the trials of a study, also while its driver writes.

    Args:
        folder: The study's folder.
        space: The study's space, which knows how values are written.

    Returns:
        The study's own trials by number, not those it learnt from; empty where there is no journal
        yet.
    """
    return JournalReader(folder, space).read()


def record_of(number: int, trial: FrozenTrial, space: Space) -> TrialRecord:
    """Return what an Optuna trial of the study says.

    Args:
        number: Its number among the study's own trials.
        trial: The Optuna trial.
        space: The study's space, which knows how values are written.
    """
    reports = reports_of(trial)
    return TrialRecord(
        number=number,
        values=space.decode(trial.params),
        state=trial.state.name,
        value=best_report(reports.values()) if reports else None,
        reports=reports,
        seconds=trial.user_attrs.get(SECONDS),
        measured=measured_of(trial.user_attrs),
        parent=parent_of(trial),
        metrics=trial.user_attrs.get(METRICS, {}),
    )


def best_report(values: Collection[float]) -> float:
    """Return the highest of some values; NaN counts as nothing unless there is nothing else."""
    return max((value for value in values if value == value), default=float("nan"))


def measured_of(attributes: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Return what the attributes of an Optuna trial say under `MEASURED`, by epoch."""
    return {
        int(key.removeprefix(MEASURED)): value
        for key, value in attributes.items()
        if key.startswith(MEASURED)
    }


def reports_of(trial: FrozenTrial) -> dict[int, float]:
    """Return epoch -> value of the first objective."""
    several = measured_of(trial.user_attrs)
    return dict(trial.intermediate_values) or {
        epoch: next(iter(values.values())) for epoch, values in several.items()
    }


def parent_of(trial: FrozenTrial) -> Parent | None:
    """Return where the first weights of an Optuna trial come from."""
    raw = trial.user_attrs.get(PARENT)
    return None if raw is None else Parent(**raw)
