"""The journal of a study: an Optuna journal file with one writer, the driver of the study.

Each line is one event (a trial made, a value drawn, a result reported, a trial ended), so a killed
driver loses nothing that it had written.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from hbpr.files import JsonLines, json_line
from hbpr.tracking.records import Parent, TrialRecord
from tune.space import Space

JOURNAL = "journal.log"
#: Attribute of an Optuna trial: the id of the Ray trial that runs it.
RAY_TRIAL = "ray_trial"
#: Attribute of an Optuna trial that was run by an earlier study: that study's folder.
EARLIER = "earlier_study"
#: Attribute of an Optuna trial: seconds of training and evaluation.
SECONDS = "seconds"
#: Attribute of an Optuna trial that went on from another's weights: its `Parent`.
PARENT = "parent"
#: Prefix of attributes of an Optuna trial, with the epoch behind it: all that a report said of
#: several objectives or limits, the first objective first. Optuna keeps no steps of such a trial.
MEASURED = "epoch:"


class DriverJournal(JournalFileBackend):
    """A journal file for its only writer.

    Optuna's own backend links a lock file and calls fsync for every event: ten times a trial, and
    once a report. Here `sync` calls fsync, once at the end of a trial. A killed process loses
    nothing, a machine that crashes at most what came after the last `sync`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines = JsonLines(path)
        super().__init__(str(path))
        self._held: list[dict[str, Any]] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write the events of a block in one write at its end: a killed driver leaves all or none.

        What the block writes cannot be read in it.
        """
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
        self.append_logs(held)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append events, one line each, in one write."""
        if self._held is not None:
            self._held += logs
            return
        self._lines.append(b"".join(map(json_line, logs)))

    def sync(self) -> None:
        """Bring everything that was written to the disk."""
        self._lines.sync()


class DriverStorage(JournalStorage):
    """Optuna's trials in the journal of a study, none of which ever waits in a queue.

    Optuna looks through all trials for one that waits before it makes each new one.
    """

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials in some states, without a search for what cannot be there."""
        if states == (TrialState.WAITING,):
            return []
        return super().get_all_trials(study_id, deepcopy, states)


def quiet_optuna() -> None:
    """Keep Optuna's notes off the terminal; for entry points only, since it is process-wide."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def read_journal(folder: Path, space: Space, mode: str = "max") -> list[TrialRecord]:
    """Read the trials of a study, also while its driver writes.

    Args:
        folder: The study's folder.
        space: The study's space, which knows how values are written.
        mode: ``max`` or ``min``, for the best value.

    Returns:
        The study's own trials by number, not those it learnt from; empty where there is no journal
        yet.
    """
    path = Path(folder) / JOURNAL
    if not path.exists():
        return []
    storage = JournalStorage(JournalFileBackend(str(path)))
    trials = [
        trial
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(study._study_id, deepcopy=False)
    ]
    own = [trial for trial in trials if EARLIER not in trial.user_attrs]
    return [journal_trial(number, trial, space, mode) for number, trial in enumerate(own)]


def prune_running(folder: Path) -> int:
    """End as PRUNED what nobody will run any more, in a study whose driver has stopped searching.

    Returns:
        How many trials that were.
    """
    journal = DriverJournal(Path(folder) / JOURNAL)
    storage = JournalStorage(journal)
    running = [
        trial
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        if not trial.state.is_finished()
    ]
    for trial in running:
        storage.set_trial_state_values(trial._trial_id, TrialState.PRUNED)
    journal.sync()
    return len(running)


def best_report(values: Sequence[float], mode: str) -> float:
    """Return the best of some values; NaN counts as nothing unless there is nothing else."""
    known = [value for value in values if value == value]
    if not known:
        return float("nan")
    return max(known) if mode == "max" else min(known)


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


def journal_trial(number: int, trial: FrozenTrial, space: Space, mode: str) -> TrialRecord:
    """Return what an Optuna trial of the study says.

    Args:
        number: Its number among the study's own trials.
        trial: The Optuna trial.
        space: The study's space, which knows how values are written.
        mode: ``max`` or ``min``, for the best value.
    """
    reports = reports_of(trial)
    return TrialRecord(
        number=number,
        values=space.decode(trial.params),
        state=trial.state.name,
        value=best_report(list(reports.values()), mode) if reports else None,
        reports=reports,
        seconds=trial.user_attrs.get(SECONDS),
        measured=measured_of(trial.user_attrs),
        parent=parent_of(trial),
    )
