"""What MLflow holds of an experiment, as a table of runs and one curve for each."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.errors import ConfigError, TrackingError
from hbpr.names import best_name
from hbpr.tracking import tags as tag
from hbpr.tracking.store import find_experiment, open_client, tracking_error

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

#: MLflow's statuses in the words of a study.
STATES: Final = {
    "FINISHED": "finished",
    "KILLED": "stopped",
    "FAILED": "failed",
    "RUNNING": "running",
    "SCHEDULED": "waiting",
}
#: Kinds of runs that say nothing of what a search tried: the study's own, and finalists repeated.
_NO_TRIALS: Final = ("study", "repeat")
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
        runs: One row a run, in order of start: the columns `FIXED`, then settings under dotted
            names and last values of metrics. `value` is the best of the metric, NaN without any.
        curves: Curve of each run that has the metric, by run id.
        settings: Names of the settings in `runs`, those that differ between runs first.
    """

    experiment: str
    metric: str
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


def read_records(
    tracking_uri: str, experiment: str, metric: str, study: str | None = None
) -> Records:
    """Read the trials and training runs of an experiment.

    Args:
        tracking_uri: SQLite file or server.
        experiment: Name of the experiment.
        metric: Metric to read the curves of.
        study: Name or id of one study; None for all runs.

    Raises:
        ConfigError: No such experiment or study, or no run has the metric.
        TrackingError: MLflow does not answer.
    """
    client = open_client(tracking_uri, create=False)
    from mlflow.exceptions import MlflowException

    try:
        found = find_experiment(client, experiment, tracking_uri)
        runs = _select(_all_runs(client, found), experiment, study)
        curves = {
            run.info.run_id: _curve(client, run, metric)
            for run in runs
            if metric in run.data.metrics
        }
    except (MlflowException, OSError) as error:
        if isinstance(error, TrackingError):
            raise
        raise tracking_error(tracking_uri, error) from error
    if not curves:
        names = sorted({name for run in runs for name in run.data.metrics})
        raise ConfigError(
            f"experiment {experiment!r}: no run has the metric {metric!r}; "
            f"they have {', '.join(names) if names else 'none yet'}"
        )
    return _tabulate(experiment, metric, runs, curves)


def _all_runs(client: "MlflowClient", experiment: "Experiment") -> list["Run"]:
    runs, token = [], None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += list(page)
        token = page.token
        if not token:
            return runs


def _select(runs: list["Run"], experiment: str, study: str | None) -> list["Run"]:
    chosen = [run for run in runs if run.data.tags.get(tag.KIND) not in _NO_TRIALS]
    if study is None:
        return chosen
    names = {run.data.tags.get(tag.STUDY) for run in chosen} - {None}
    keys = (tag.STUDY, tag.STUDY_ID)
    chosen = [run for run in chosen if study in [run.data.tags.get(key) for key in keys]]
    if not chosen:
        raise ConfigError(
            f"experiment {experiment!r}: no trial of a study {study!r}; "
            f"its studies are {', '.join(map(repr, sorted(map(str, names)))) or 'none'}"
        )
    return chosen


def _curve(client: "MlflowClient", run: "Run", metric: str) -> Curve:
    by_epoch = {
        point.step: point.value
        for point in client.get_metric_history(run.info.run_id, metric)
        if math.isfinite(point.value)
    }
    epochs = sorted(by_epoch)
    return Curve(np.array(epochs, np.int64), np.array([by_epoch[e] for e in epochs], np.float64))


def _tabulate(experiment: str, metric: str, runs: list["Run"], curves: dict[str, Curve]) -> Records:
    rows: list[dict[str, Any]] = []
    for run in runs:
        tags, curve = run.data.tags, curves.get(run.info.run_id)
        row: dict[str, Any] = {
            "run_id": run.info.run_id,
            "run": run.info.run_name,
            "kind": tags.get(tag.KIND, "run"),
            "study": tags.get(tag.STUDY, ""),
            "trial": int(tags[tag.TRIAL]) if tag.TRIAL in tags else None,
            "state": STATES.get(run.info.status, run.info.status),
            "started": pd.Timestamp(run.info.start_time, unit="ms"),
            "duration_s": _duration(run),
            "value": math.nan,
            "best_epoch": None,
            "epochs": None,
        }
        if curve is not None and len(curve.values):
            at = int(curve.values.argmax())
            row |= {
                "value": float(curve.values[at]),
                "best_epoch": int(curve.epochs[at]),
                "epochs": int(curve.epochs[-1]),
            }
        row |= {name: _plain(value) for name, value in run.data.params.items()}
        row |= {
            name: value for name, value in run.data.metrics.items() if name != best_name(metric)
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in ("trial", "best_epoch", "epochs"):
        table[name] = table[name].astype("Int64")
    names = sorted({name for run in runs for name in run.data.params})
    settings = sorted(names, key=lambda name: _n_values(table, name) <= 1)
    return Records(experiment, metric, table, curves, settings)


def _duration(run: "Run") -> float:
    end = run.info.end_time
    return math.nan if end is None else (end - run.info.start_time) / 1000


def _plain(text: str) -> Any:
    """Turn a recorded setting back into a number, a truth value or text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, list | dict) else value


def _n_values(table: pd.DataFrame, name: str) -> int:
    return int(table[name].dropna().astype(str).nunique())
