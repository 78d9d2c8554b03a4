"""Runs as a table and one curve for each, from the records of their studies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.groups import exams_of, fixed_settings, group_names
from dashboards.scales import Scale, level_text, scale_of
from dashboards.words import RUN_STATES
from hbpr.names import best_name
from hbpr.settings.load import dotted
from hbpr.tracking.records import Exam, StudyRecord, TrialRecord
from hbpr.tracking.run_log import as_text

#: What a run of no study is called where studies are listed.
ALONE: Final = "single runs"
#: Columns of `Records.runs` before those of settings and metrics.
FIXED: Final = (
    "run_id",
    "run",
    "kind",
    "experiment",
    "study",
    "trial",
    "state",
    "data",
    "node",
    "started",
    "duration_s",
    "value",
    "best_epoch",
    "epochs",
)
#: Those of them that are left out of the table of results.
_ONLY_WHERE_SEVERAL: Final = ("experiment", "study", "data")
_NEVER_SHOWN: Final = ("run_id", "kind", "trial", "node", "started")


@dataclass(frozen=True)
class Curve:
    """Values of one metric of one run: (n,) epochs, rising, and (n,) values."""

    epochs: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Records:
    """The trials and training runs of some experiments.

    Attributes:
        metric: The metric that `value` and the curves show.
        lower: Whether less of it is better.
        studies: The records that the runs are of.
        trials: The record behind each row of `runs`.
        owners: The record of the study that each row is of.
        values: The settings behind each row, by dotted name, as they were recorded; one that is
            called like a column of `FIXED` is marked.
        runs: One row a run, in order of start: the columns `FIXED`, then settings under dotted
            names and last values of metrics. `value` is the best of the metric, NaN without any.
            `data` names the group of runs that compare with each other.
        curves: Curve of each run that has the metric, by run id.
        settings: Names of the settings in `runs`, those that differ between runs first.
        exams: What each group was judged on, by its name, the largest group first.
        seconds: Seconds of training and evaluation of runs that recorded them, by run id.
    """

    metric: str
    lower: bool
    studies: tuple[StudyRecord, ...]
    trials: tuple[TrialRecord, ...]
    owners: tuple[StudyRecord, ...]
    values: tuple[dict[str, Any], ...]
    runs: pd.DataFrame
    curves: dict[str, Curve]
    settings: list[str]
    exams: dict[str, Exam] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments, in order of their first runs."""
        names = [*self.runs["experiment"], *(each.identity.experiment for each in self.studies)]
        return list(dict.fromkeys(names))

    @property
    def title(self) -> str:
        """What pages and figures are called."""
        return ", ".join(self.experiments)

    @cached_property
    def searched(self) -> list[str]:
        """Settings with more than one value, or that some runs do not have."""
        return [name for name in self.settings if _n_values(self.runs, name) > 1]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What is known of each run, in lines: name, state, value and what was searched."""
        searched = set(self.searched)
        names = []
        columns = (self.runs[name].tolist() for name in ("run", "study", "state", "value"))
        for own, run, study, state, value in zip(self.values, *columns, strict=True):
            reached = "no value" if math.isnan(value) else f"{value:.5g}"
            settings = [
                f"{name} = {_short(level_text(each))}"
                for name, each in own.items()
                if name in searched
            ]
            names.append("<br>".join([f"{run} ({study}), {state}: {reached}", *settings]))
        return tuple(names)

    def searched_among(self, rows: pd.DataFrame) -> list[str]:
        """Settings that differ among some runs."""
        return [name for name in self.searched if _n_values(rows, name) > 1]

    def scales_among(self, rows: pd.DataFrame) -> dict[str, Scale]:
        """How each setting is drawn for some runs, by the spaces of their studies alone."""
        owners = list({id(self.owners[i]): self.owners[i] for i in rows.index}.values())
        taken: dict[str, list[Any]] = {}
        for i in rows.index:
            for name, value in self.values[i].items():
                taken.setdefault(name, []).append(_cell(value))
        return {name: scale_of(name, owners, values) for name, values in taken.items()}

    @cached_property
    def groups(self) -> dict[str, pd.DataFrame]:
        """The rows of each group of runs that compare, by its name, the largest group first."""
        return {name: self.runs[self.runs["data"] == name] for name in self.exams}

    def settings_of(self, row: int) -> dict[str, Any]:
        """Return all settings of a run, those that its study fixed among them, by dotted name."""
        return self._fixed[id(self.owners[row])] | self.values[row]

    @cached_property
    def _fixed(self) -> dict[int, dict[str, Any]]:
        return {id(study): fixed_settings(study) for study in self.studies}

    def best(self, runs: pd.DataFrame) -> pd.Series | None:
        """Row of the best run of some that compare; None where none has a value."""
        known = runs[runs["value"].notna()]
        ended = known[known["state"] == "finished"]
        known = ended if len(ended) else known
        if not len(known):
            return None
        values = known["value"].to_numpy(float)
        return known.iloc[int(values.argmin() if self.lower else values.argmax())]

    def summary(self) -> pd.DataFrame:
        """Return one row a run, best first: value, epochs, state, time and what was searched.

        The index is the rank, from 1, in the group of runs that compare; runs without a value come
        last in it.
        """
        several = {
            name for name in _ONLY_WHERE_SEVERAL if self.runs[name].nunique(dropna=False) > 1
        }
        head = [
            name
            for name in FIXED
            if name not in _NEVER_SHOWN and (name in several or name not in _ONLY_WHERE_SEVERAL)
        ]
        tests = sorted(str(name) for name in self.runs if str(name).startswith("test/"))
        table = self.runs[[*head, *self.searched, *tests, "run_id"]]
        if not len(table):
            return table.rename(columns={"value": self.metric}).rename_axis("rank")
        parts = [
            table.loc[part.index].sort_values(
                "value", ascending=self.lower, kind="stable", na_position="last"
            )
            for part in self.groups.values()
        ]
        ranks = [rank for part in parts for rank in range(1, len(part) + 1)]
        table = pd.concat(parts).rename(columns={"value": self.metric})
        table.index = pd.Index(ranks, name="rank")
        return table


def tabulate(studies: Sequence[StudyRecord]) -> Records:
    """Return the trials of some studies as one table.

    Args:
        studies: At least one, all of one metric.
    """
    goal = studies[0].goals.objectives[0]
    found = [
        (study, trial, exam)
        for study in studies
        for trial, exam in zip(study.trials, exams_of(study), strict=True)
    ]
    found.sort(key=lambda each: each[1].run.began_at if each[1].run else 0)
    trials = tuple(trial for _, trial, _ in found)
    exams = [exam for _, _, exam in found]
    by_key = {exam.key: exam for exam in exams}
    names = group_names(list(by_key.values()))
    settings_of_each = tuple(_settings_of(trial) for trial in trials)
    rows = [
        _row(study, trial, settings, goal.metric) | {"data": names[exam.key]}
        for (study, trial, exam), settings in zip(found, settings_of_each, strict=True)
    ]
    table = pd.DataFrame(rows, columns=None if rows else list(FIXED))
    for name in ("trial", "best_epoch", "epochs"):
        table[name] = table[name].astype("Int64")
    values: dict[str, list[Any]] = {}
    for own in settings_of_each:
        for name, value in own.items():
            values.setdefault(name, []).append(_cell(value))
    for name, taken in values.items():
        if len(taken) < len(trials) and all(type(value) is int for value in taken):
            table[name] = table[name].astype("Int64")
    settings = sorted(sorted(values), key=lambda name: _n_values(table, name) <= 1)
    return Records(
        goal.metric,
        goal.mode == "min",
        tuple(studies),
        trials,
        tuple(study for study, _, _ in found),
        settings_of_each,
        table,
        {_run_id(trial): _curve(trial) for trial in trials if trial.value is not None},
        settings,
        {str(name): by_key[key] for key, name in _by_size(table, names)},
        {_run_id(trial): trial.seconds for trial in trials if trial.seconds is not None},
    )


def _settings_of(trial: TrialRecord) -> dict[str, Any]:
    return {
        f"{name} (setting)" if name in FIXED else name: value
        for name, value in dotted(trial.values).items()
    }


def _by_size(table: pd.DataFrame, names: dict[str, str]) -> list[tuple[str, str]]:
    counts = table["data"].value_counts()
    return sorted(names.items(), key=lambda pair: -int(counts[pair[1]]))


def _run_id(trial: TrialRecord) -> str:
    return trial.run_id or f"trial-{trial.number}"


def _curve(trial: TrialRecord) -> Curve:
    known = sorted((e, value) for e, value in trial.reports.items() if math.isfinite(value))
    epochs, values = zip(*known, strict=True) if known else ((), ())
    return Curve(np.array(epochs, np.int64), np.array(values, np.float64))


def _row(
    study: StudyRecord, trial: TrialRecord, settings: dict[str, Any], metric: str
) -> dict[str, Any]:
    run = trial.run
    seconds = math.nan if trial.seconds is None else trial.seconds
    if run is not None:
        seconds = math.nan if run.ended_at is None else (run.ended_at - run.began_at) / 1000
    row: dict[str, Any] = {
        "run_id": _run_id(trial),
        "run": run.name if run else f"trial-{trial.number:03d}",
        "kind": run.kind if run else "trial",
        "experiment": study.identity.experiment,
        "study": study.identity.name or ALONE,
        "trial": trial.number if trial.number >= 0 else None,
        "state": RUN_STATES.get(trial.state, trial.state),
        "data": "",
        "node": run.node if run else "",
        "started": pd.Timestamp(run.began_at, unit="ms") if run else pd.NaT,
        "duration_s": seconds,
        "value": math.nan if trial.value is None else trial.value,
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs or None,
    }
    row |= {name: _cell(value) for name, value in settings.items()}
    measured = run.metrics if run and run.metrics else trial.at_best
    return row | {
        f"{name} (last)" if name in row else name: value
        for name, value in measured.items()
        if name != best_name(metric)
    }


def _cell(value: Any) -> Any:
    """Return a setting as a number, a truth value or text; a recorded null is ``none``."""
    if value is None:
        return "none"
    return as_text(value) if isinstance(value, list | tuple | dict) else value


def _n_values(table: pd.DataFrame, name: str) -> int:
    column = table[name]
    return int(column.dropna().astype(str).nunique()) + bool(column.isna().any())


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
