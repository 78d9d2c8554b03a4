"""The journal of a study: an Optuna journal file with one writer, the driver of the study.

Each line is one event (a trial made, a value drawn, a result reported, a trial ended), so a killed
driver loses nothing that it had written.
"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from hbpr.files import JsonLines, json_line
from tune.storage.names import JOURNAL


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
