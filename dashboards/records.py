"""The runs of an experiment as a table and one curve for each, from the records of its studies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.names import best_name
from hbpr.settings.load import dotted
from hbpr.tracking.records import StudyRecord, TrialRecord
from hbpr.tracking.run_log import as_text

#: States of trials in the words of runs, which Ctrl-C stops as well as a scheduler.
STATES: Final = {
    "COMPLETE": "finished",
    "PRUNED": "stopped",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
#: Columns of `Records.runs` before those of settings and metrics.
FIXED: Final = (
    "run_id",
    "run",
    "kind",
    "study",
    "trial",
    "state",
    "started",
    "duration_s",
    "value",
    "best_epoch",
    "epochs",
)


@dataclass(frozen=True)
class Curve:
    """Values of one metric of one run: (n,) epochs, rising, and (n,) values."""

    epochs: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Records:
    """The trials and training runs of an experiment.

    Attributes:
        experiment: Name of the experiment.
        metric: The metric that `value` and the curves show.
        trials: The record behind each row of `runs`.
        runs: One row a run, in order of start: the columns `FIXED`, then settings under dotted
            names and last values of metrics. `value` is the best of the metric, NaN without any.
        curves: Curve of each run that has the metric, by run id.
        settings: Names of the settings in `runs`, those that differ between runs first.
    """

    experiment: str
    metric: str
    trials: list[TrialRecord]
    runs: pd.DataFrame
    curves: dict[str, Curve]
    settings: list[str]

    @property
    def searched(self) -> list[str]:
        """Settings with more than one value."""
        return [name for name in self.settings if _n_values(self.runs, name) > 1]

    def best(self) -> pd.Series:
        """Row of the run with the highest value."""
        return self.runs.iloc[int(self.runs["value"].argmax())]

    def summary(self) -> pd.DataFrame:
        """Return one row a run, best first: value, epochs, state, time and what was searched.

        The index is the rank, from 1; runs without a value come last.
        """
        head = [name for name in FIXED if name not in ("run_id", "kind", "started", "trial")]
        if self.runs["study"].nunique() <= 1:
            head.remove("study")
        tests = sorted(str(name) for name in self.runs if str(name).startswith("test/"))
        table = self.runs[[*head, *self.searched, *tests, "run_id"]]
        table = table.sort_values("value", ascending=False, kind="stable", ignore_index=True)
        table = table.rename(columns={"value": self.metric})
        table.index += 1
        return table


def tabulate(experiment: str, metric: str, studies: Sequence[StudyRecord]) -> Records:
    """Return the trials of some studies as one table.

    Args:
        experiment: Name of the experiment.
        metric: The metric that the trials' values and reports are of.
        studies: At least one, with trials.
    """
    pairs = [(study, trial) for study in studies for trial in study.trials]
    pairs.sort(key=lambda pair: pair[1].run.began_at if pair[1].run else 0)
    curves = {_run_id(trial): _curve(trial) for _, trial in pairs if trial.value is not None}
    table = pd.DataFrame([_row(study, trial, metric) for study, trial in pairs])
    for name in ("trial", "best_epoch", "epochs"):
        table[name] = table[name].astype("Int64")
    names = sorted({name for _, trial in pairs for name in dotted(trial.values)})
    settings = sorted(names, key=lambda name: _n_values(table, name) <= 1)
    return Records(experiment, metric, [trial for _, trial in pairs], table, curves, settings)


def as_cell(value: object) -> str:
    """Return a value of a table as a page shows it."""
    if pd.isna(value):  # type: ignore[call-overload]
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_cells(table: pd.DataFrame) -> list[list[str]]:
    """Return the rows of a table as a page shows them."""
    return [[as_cell(value) for value in row] for row in table.itertuples(index=False, name=None)]


def _run_id(trial: TrialRecord) -> str:
    return trial.run_id or f"trial-{trial.number}"


def _curve(trial: TrialRecord) -> Curve:
    known = sorted((e, value) for e, value in trial.reports.items() if math.isfinite(value))
    epochs, values = zip(*known, strict=True) if known else ((), ())
    return Curve(np.array(epochs, np.int64), np.array(values, np.float64))


def _row(study: StudyRecord, trial: TrialRecord, metric: str) -> dict[str, Any]:
    run = trial.run
    seconds = math.nan if trial.seconds is None else trial.seconds
    if run is not None:
        seconds = math.nan if run.ended_at is None else (run.ended_at - run.began_at) / 1000
    row: dict[str, Any] = {
        "run_id": _run_id(trial),
        "run": run.name if run else f"trial-{trial.number:03d}",
        "kind": run.kind if run else "trial",
        "study": study.identity.name,
        "trial": trial.number if trial.number >= 0 else None,
        "state": STATES.get(trial.state, trial.state),
        "started": pd.Timestamp(run.began_at, unit="ms") if run else pd.NaT,
        "duration_s": seconds,
        "value": math.nan if trial.value is None else trial.value,
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs or None,
    }
    row |= {name: _cell(value) for name, value in dotted(trial.values).items()}
    measured = run.metrics if run else trial.at_best
    return row | {name: value for name, value in measured.items() if name != best_name(metric)}


def _cell(value: Any) -> Any:
    """Return a setting as a number, a truth value or text."""
    return as_text(value) if isinstance(value, list | tuple | dict) else value


def _n_values(table: pd.DataFrame, name: str) -> int:
    return int(table[name].dropna().astype(str).nunique())
