"""The journal of a study: an Optuna journal file with one writer, the driver of the study.

Each line is one event (a trial made, a value drawn, a result reported, a trial ended), so a killed
driver loses nothing that it had written.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from tune.space import Space

logger = logging.getLogger(__name__)

JOURNAL = "journal.log"
#: Attribute of an Optuna trial: the id of the Ray trial that runs it.
RAY_TRIAL = "ray_trial"


@dataclass(frozen=True)
class JournalTrial:
    """One trial as the journal tells it.

    Attributes:
        number: From 0, in the order of the suggestions.
        values: Dotted setting -> value of the dimensions active in this trial.
        state: RUNNING, COMPLETE (ran to its end), PRUNED (stopped early) or FAIL.
        value: Best reported value; None without a report.
        reports: Epoch -> reported value.
        ray_trial: Id of the Ray trial that ran it last; None where none was started.
    """

    number: int
    values: dict[str, Any]
    state: str
    value: float | None
    reports: dict[int, float]
    ray_trial: str | None


class DriverJournal(JournalFileBackend):
    """A journal file for its only writer.

    Optuna's own backend links a lock file and calls fsync for every event: ten times a trial, and
    once a report. Here `sync` calls fsync, once at the end of a trial. A killed process loses
    nothing, a machine that crashes at most what came after the last `sync`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append events, one line each, in one write."""
        text = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs)
        with open(self._path, "ab", buffering=0) as file:
            file.write(text.encode())

    def sync(self) -> None:
        """Bring everything that was written to the disk."""
        with open(self._path, "rb") as file:
            os.fsync(file.fileno())


def quiet_optuna() -> None:
    """Keep Optuna's notes off the terminal; for entry points only, since it is process-wide."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def read_journal(folder: Path, space: Space, mode: str = "max") -> list[JournalTrial]:
    """Read the trials of a study, also while its driver writes.

    Args:
        folder: The study's folder.
        space: The study's space, which knows how values are written.
        mode: ``max`` or ``min``, for the best value.

    Returns:
        Trials by number; empty where there is no journal yet.
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
    return [_journal_trial(trial, space, mode) for trial in trials]


def best_report(values: Sequence[float], mode: str) -> float:
    """Return the best of some values; NaN counts as nothing unless there is nothing else."""
    known = [value for value in values if value == value]
    if not known:
        return float("nan")
    return max(known) if mode == "max" else min(known)


def _journal_trial(trial: FrozenTrial, space: Space, mode: str) -> JournalTrial:
    reports = dict(trial.intermediate_values)
    return JournalTrial(
        number=trial.number,
        values=space.decode(trial.params),
        state=trial.state.name,
        value=best_report(list(reports.values()), mode) if reports else None,
        reports=reports,
        ray_trial=trial.user_attrs.get(RAY_TRIAL),
    )


def _mend(path: Path) -> None:
    """Cut off a last line that a crash or a full disk left unfinished."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        data = file.read()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            logger.warning("%s: cut off an unfinished last line of %d bytes", path, len(data) - end)
            file.truncate(end)
