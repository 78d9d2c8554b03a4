"""Studies as MLflow holds them.

MLflow has each trial's settings, state, times and metrics by epoch, and of a study that has ended
its settings, its winner, and the test metrics of the winner and of the baselines. It has not: what
trials of several objectives measured at their best epoch, validation metrics of baselines, repeats
of finalists as such, comparisons, importance, fingerprints and versions. These are left empty.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hbpr.errors import ConfigError, TrackingError
from hbpr.names import baseline_name
from hbpr.tracking import tags as tag
from hbpr.tracking.findings import BaselineRecord, Findings, Winner
from hbpr.tracking.goals import Goals, Limit, Objective
from hbpr.tracking.records import (
    Identity,
    Parent,
    RunRecord,
    StudyRecord,
    Times,
    Tracking,
    TrialRecord,
)
from hbpr.tracking.store import find_experiment, mask_uri, open_client, tracking_error

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

#: A trial's state by the status of its run.
_STATES: Final = {
    "FINISHED": "COMPLETE",
    "KILLED": "PRUNED",
    "FAILED": "FAIL",
    "RUNNING": "RUNNING",
    "SCHEDULED": "WAITING",
}
#: Kinds of runs that say nothing of what a search tried: the study's own, and finalists repeated.
_NO_TRIALS: Final = ("study", "repeat")


def read_experiment(
    tracking_uri: str, experiment: str, metric: str, study: str | None = None
) -> list[StudyRecord]:
    """Read the trials and training runs of an experiment.

    Args:
        tracking_uri: SQLite file or server.
        experiment: Name of the experiment.
        metric: Metric that values and reports are of; the best is the highest.
        study: Name or id of one study; None for all runs.

    Returns:
        A record for each study, and one with an empty id for the runs of no study, in the order of
        their first runs. See above for what is not in them.

    Raises:
        ConfigError: No such experiment or study, or no run has the metric.
        TrackingError: MLflow does not answer.
    """
    client = open_client(tracking_uri, create=False)
    from mlflow.exceptions import MlflowException

    try:
        found = find_experiment(client, experiment, tracking_uri)
        runs = _all_runs(client, found)
        chosen = _select(runs, experiment, study)
        if not any(metric in run.data.metrics for run in chosen):
            names = sorted({name for run in chosen for name in run.data.metrics})
            raise ConfigError(
                f"experiment {experiment!r}: no run has the metric {metric!r}; "
                f"they have {', '.join(names) if names else 'none yet'}"
            )
        trials: dict[str, list[Run]] = {}
        for run in chosen:
            trials.setdefault(run.data.tags.get(tag.STUDY_ID, ""), []).append(run)
        own = {
            run.data.tags.get(tag.STUDY_ID, ""): run
            for run in runs
            if run.data.tags.get(tag.KIND) == "study"
        }
        return [
            _study(
                Identity(study_id, _name(group), experiment),
                mask_uri(tracking_uri),
                own.get(study_id),
                [_trial(client, run, metric) for run in group],
                metric,
            )
            for study_id, group in trials.items()
        ]
    except (MlflowException, OSError) as error:
        if isinstance(error, TrackingError):
            raise
        raise tracking_error(tracking_uri, error) from error


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


def _select(runs: "list[Run]", experiment: str, study: str | None) -> "list[Run]":
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


def _name(runs: "Sequence[Run]") -> str:
    return str(runs[0].data.tags.get(tag.STUDY, ""))


def _trial(client: "MlflowClient", run: "Run", metric: str) -> TrialRecord:
    """Read a trial, or a run of no study, whose number is -1."""
    tags, info = run.data.tags, run.info
    reports: dict[int, float] = {}
    if metric in run.data.metrics:
        history = client.get_metric_history(info.run_id, metric)
        by_epoch = {point.step: point.value for point in history if math.isfinite(point.value)}
        reports = dict(sorted(by_epoch.items()))
    parent = None
    if tag.PARENT in tags:
        keys = (tag.PARENT, tag.PARENT_EPOCH, tag.REPLACES)
        parent = Parent(*(int(tags[key]) for key in keys))
    return TrialRecord(
        number=int(tags.get(tag.TRIAL, -1)),
        values={name: _value(text) for name, text in run.data.params.items()},
        state=_STATES.get(info.status, info.status),
        value=max(reports.values(), default=None),
        reports=reports,
        parent=parent,
        run_id=info.run_id,
        run=RunRecord(
            info.run_name,
            tags.get(tag.KIND, "run"),
            info.start_time,
            info.end_time,
            dict(run.data.metrics),
        ),
    )


def _value(text: str) -> Any:
    """Turn a recorded setting back into what it was; text that is no JSON stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _study(
    identity: Identity, uri: str, own: "Run | None", trials: "list[TrialRecord]", metric: str
) -> StudyRecord:
    """Put a study together from its trials and its own run, if it has one."""
    if own is None:
        goals = Goals((Objective(metric, "max"),))
        return StudyRecord(identity, Tracking(uri), goals, tuple(trials))
    tags, metrics = own.data.tags, own.data.metrics
    settings = _settings(tags)
    front = [int(number) for number in tags.get(tag.FRONT, "").split(",") if number]
    ended = own.info.end_time
    return StudyRecord(
        identity,
        Tracking(uri, own.info.run_id),
        _goals(settings, metric),
        tuple(trials),
        settings=settings,
        winner=_winner(tags, metrics, trials),
        baselines=_baselines(metrics),
        findings=Findings(front=tuple(front)),
        times=None if ended is None else Times((ended - own.info.start_time) / 1000),
    )


def _settings(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a study; empty where they were too long for their tag."""
    settings = _value(tags.get(tag.SETTINGS, ""))
    return settings if isinstance(settings, dict) else {}


def _goals(settings: Mapping[str, Any], metric: str) -> Goals:
    """Return the study's goals if the metric is its first; else the metric alone."""
    sweep = settings.get("sweep", {})
    objectives = tuple(
        Objective(each["metric"], each["mode"]) for each in sweep.get("objectives") or ()
    )
    if [each.metric for each in objectives[:1]] not in ([], [metric]):
        objectives = ()
    limits = (sweep.get("limits") or {}).items()
    return Goals(
        objectives or (Objective(metric, "max"),),
        tuple(Limit(name, each.get("min"), each.get("max")) for name, each in limits),
    )


def _winner(
    tags: Mapping[str, str], metrics: Mapping[str, float], trials: Sequence[TrialRecord]
) -> Winner | None:
    if tag.BEST_TRIAL not in tags:
        return None
    number = int(tags[tag.BEST_TRIAL])
    trial = next((each for each in trials if each.number == number), None)
    values = _value(tags.get(tag.BEST_VALUES, ""))
    return Winner(
        number,
        values if isinstance(values, dict) else {} if trial is None else trial.values,
        float(tags[tag.BEST_VALUE]),
        0 if trial is None else trial.best_epoch or 0,
        test={name: value for name, value in metrics.items() if name.startswith("test/")},
    )


def _baselines(metrics: Mapping[str, float]) -> tuple[BaselineRecord, ...]:
    from hbpr.baselines import BASELINES

    found = []
    for name, baseline in BASELINES.items():
        prefix = baseline_name("/", name)
        test = {
            f"test/{metric.removeprefix(prefix)}": value
            for metric, value in metrics.items()
            if metric.startswith(prefix)
        }
        if test:
            found.append(BaselineRecord(name, baseline.label, test=test))
    return tuple(found)
