"""Studies as MLflow holds them.

MLflow has each trial's settings, state, times and metrics by epoch, and of a study that has ended
its settings, its winner beside the baselines, comparisons and what mattered. What earlier versions
did not record, such as the validation metrics of baselines, is left empty.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from hbpr.collection import paused_collection
from hbpr.errors import ConfigError, TrackingError
from hbpr.tracking import tags as tag
from hbpr.tracking.from_runs import (
    ends_of,
    metric_is_low,
    study_of,
    trial_of,
    with_measured,
)
from hbpr.tracking.goals import Objective
from hbpr.tracking.histories import Cache, Curve, read_curves, read_histories
from hbpr.tracking.records import Identity, StudyRecord, TrialRecord
from hbpr.tracking.store import find_experiment, mask_uri, open_client, tracking_error
from hbpr.words import did_you_mean

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

#: Kinds of runs that say nothing of what a search tried: the study's own, and finalists repeated.
_NO_TRIALS: Final = ("study", "repeat")
#: Runs of one answer.
_PAGE: Final = 5000
#: What is shown of runs that do not say what they were judged by.
_USUAL: Final = "val/ndcg_at_10"
#: What is never the measure of a run.
_NO_MEASURE: Final = ("time/", "best/", "baseline/", "system/")


class Found(NamedTuple):
    """An experiment: its name and id, and when it was made and last changed (ms since 1970)."""

    name: str
    experiment_id: str
    made_at: int | None
    changed_at: int | None


class MlflowReader:
    """Reads experiments of one tracking store; curves of runs that have ended are read once.

    Args:
        tracking_uri: SQLite file or server.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        self._curves: Cache = {}
        self._opened: MlflowClient | None = None

    def experiments(self) -> list[Found]:
        """Return all experiments that were not deleted, by name.

        Raises:
            TrackingError: MLflow does not answer.
        """
        from mlflow.exceptions import MlflowException

        found, token = [], None
        try:
            while True:
                page = self._client().search_experiments(max_results=1000, page_token=token)
                found += list(page)
                token = page.token
                if not token:
                    break
        except (MlflowException, OSError) as error:
            raise tracking_error(self.tracking_uri, error) from error
        return sorted(
            Found(each.name, each.experiment_id, each.creation_time, each.last_update_time)
            for each in found
        )

    @paused_collection()
    def read(
        self,
        experiments: Sequence[str],
        metric: str | None = None,
        study: str | None = None,
        *,
        curves: bool = True,
    ) -> list[StudyRecord]:
        """Read the trials and training runs of some experiments.

        Args:
            experiments: Names of experiments.
            metric: Metric that values and reports are of; None: the one that the studies maximise,
                or the one that most runs have.
            study: Name or id of one study; None for all runs.
            curves: Whether to read all reports; else a trial has the best and the last where its
                run says so, which costs no further reading.

        Returns:
            A record for each study, and for each experiment one with an empty id for the runs of no
            study, in the order of their first runs. See above for what is not in them.

        Raises:
            ConfigError: No such experiment or study, or no run has the metric.
            TrackingError: MLflow does not answer.
        """
        from mlflow.exceptions import MlflowException

        try:
            client = self._client()
            found = {
                name: _all_runs(client, find_experiment(client, name, self.tracking_uri))
                for name in dict.fromkeys(experiments)
            }
            chosen = _select(found, study)
            goal = _goal([run for runs in chosen.values() for run in runs], found, metric)
            return [
                record
                for name, runs in chosen.items()
                for record in self._studies(client, name, runs, found[name], goal, curves)
            ]
        except (MlflowException, OSError) as error:
            if isinstance(error, TrackingError):
                raise
            raise tracking_error(self.tracking_uri, error) from error

    def histories(
        self, run_ids: Sequence[str], metrics: Sequence[str] = ()
    ) -> dict[str, "History"]:
        """Return name and curves by metric of some runs, by run id.

        Args:
            run_ids: Ids of runs.
            metrics: Names of metrics; none: all that each run has.

        Raises:
            ConfigError: There is no such run.
            TrackingError: MLflow does not answer.
        """
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            runs = [client.get_run(run_id) for run_id in run_ids]
            names = list(metrics) or sorted({name for run in runs for name in run.data.metrics})
            by_name = {name: read_histories(client, runs, name, self._curves) for name in names}
        except (MlflowException, OSError) as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise ConfigError(f"no such run in MLflow: {error}") from error
            raise tracking_error(self.tracking_uri, error) from error
        return {
            run.info.run_id: History(
                run.info.run_name or run.info.run_id[:8],
                {n: c[run.info.run_id] for n, c in by_name.items() if run.info.run_id in c},
            )
            for run in runs
        }

    @paused_collection()
    def curves(self, trials: Iterable[TrialRecord], metric: str) -> dict[str, Curve]:
        """Return the curve of a metric of the trials that have it, as they were read, by run id.

        Raises:
            TrackingError: MLflow does not answer.
        """
        from mlflow.exceptions import MlflowException

        ends = {
            str(trial.run_id): trial.run.ended_at
            for trial in trials
            if trial.run is not None and metric in trial.run.metrics
        }
        try:
            return read_curves(self._client(), ends, metric, self._curves)
        except (MlflowException, OSError) as error:
            if isinstance(error, TrackingError):
                raise
            raise tracking_error(self.tracking_uri, error) from error

    def _client(self) -> "MlflowClient":
        if self._opened is None:
            self._opened = open_client(self.tracking_uri, create=False)
        return self._opened

    def _studies(
        self,
        client: "MlflowClient",
        experiment: str,
        chosen: "list[Run]",
        all_runs: "list[Run]",
        goal: Objective,
        curves: bool,
    ) -> list[StudyRecord]:
        low = goal.mode == "min"
        repeats = [run for run in all_runs if run.data.tags.get(tag.KIND) == "repeat"]
        ends: dict[str, Curve | None] = {
            run.info.run_id: None if curves else ends_of(run, goal.metric)
            for run in (*chosen, *repeats)
        }
        missing = [run for run in (*chosen, *repeats) if ends[run.info.run_id] is None]
        read = read_histories(client, missing, goal.metric, self._curves)
        found = {run_id: curve or read.get(run_id, {}) for run_id, curve in ends.items()}
        groups: dict[str, list[Run]] = {}
        for run in chosen:
            groups.setdefault(run.data.tags.get(tag.STUDY_ID, ""), []).append(run)
        own = {
            run.data.tags.get(tag.STUDY_ID, ""): run
            for run in all_runs
            if run.data.tags.get(tag.KIND) == "study"
        }
        records = [
            study_of(
                Identity(study_id, str(group[0].data.tags.get(tag.STUDY, "")), experiment),
                mask_uri(self.tracking_uri),
                own.get(study_id),
                [trial_of(run, found[run.info.run_id], low) for run in group],
                goal,
                [
                    (run, found[run.info.run_id])
                    for run in repeats
                    if run.data.tags.get(tag.STUDY_ID, "") == study_id
                ],
            )
            for study_id, group in groups.items()
        ]
        if not curves:
            return records
        return [self._measured(client, record, chosen) for record in records]

    def _measured(
        self, client: "MlflowClient", record: StudyRecord, runs: "list[Run]"
    ) -> StudyRecord:
        """Fill in what trials of several objectives, or with limits, measured at each epoch."""
        if record.goals.plain:
            return record
        ids = {trial.run_id for trial in record.trials}
        own = [run for run in runs if run.info.run_id in ids]
        found = {
            name: read_histories(client, own, name, self._curves) for name in record.goals.metrics
        }
        return with_measured(record, found)


class History(NamedTuple):
    """Name of a run, and its curves by metric."""

    name: str
    curves: dict[str, Curve]


def read_experiment(
    tracking_uri: str, experiment: str, metric: str, study: str | None = None
) -> list[StudyRecord]:
    """Read the trials and training runs of an experiment, see `MlflowReader.read`."""
    return MlflowReader(tracking_uri).read([experiment], metric, study)


def _goal(runs: "list[Run]", found: "dict[str, list[Run]]", metric: str | None) -> Objective:
    """Return what runs are judged by, and whether more of it is better."""
    counts = Counter(
        name for run in runs for name in run.data.metrics if not name.startswith(_NO_MEASURE)
    )
    shown = ", ".join(repr(name) for name in found)
    who = f"experiment {shown}" if len(found) == 1 else f"experiments {shown}"
    if metric is None:
        if not counts:
            raise ConfigError(f"{who}: no run has a metric yet; there are {len(runs)} runs")
        monitors = Counter(
            run.data.tags[tag.MONITOR]
            for every in found.values()
            for run in every
            if tag.MONITOR in run.data.tags
        )
        metric = next(
            (name for name, _ in monitors.most_common() if name in counts),
            _USUAL if _USUAL in counts else min(counts, key=lambda name: (-counts[name], name)),
        )
    elif not any(metric in run.data.metrics for run in runs):
        names = sorted({name for run in runs for name in run.data.metrics})
        raise ConfigError(
            f"{who}: no run has the metric {metric!r}; "
            f"they have {', '.join(names) if names else 'none yet'}."
            + did_you_mean(metric, names, "", shown=repr, most=3, likeness=0.4)
        )
    return Objective(metric, "min" if metric_is_low(metric, runs) else "max")


def _all_runs(client: "MlflowClient", experiment: "Experiment") -> list["Run"]:
    runs, token = [], None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            max_results=_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += list(page)
        token = page.token
        if not token:
            return runs


def _select(found: "dict[str, list[Run]]", study: str | None) -> "dict[str, list[Run]]":
    """Return the runs of each experiment that are compared; experiments without any drop out."""
    chosen = {
        name: [run for run in runs if run.data.tags.get(tag.KIND) not in _NO_TRIALS]
        for name, runs in found.items()
    }
    keys = (tag.STUDY, tag.STUDY_ID)
    if study is not None:
        every = [run for runs in chosen.values() for run in runs]
        names = {run.data.tags.get(tag.STUDY) for run in every} - {None}
        chosen = {
            name: [run for run in runs if study in [run.data.tags.get(key) for key in keys]]
            for name, runs in chosen.items()
        }
        if not any(chosen.values()):
            raise ConfigError(
                f"experiment {', '.join(map(repr, found))}: no trial of a study {study!r}; "
                f"its studies are {', '.join(map(repr, sorted(map(str, names)))) or 'none'}"
            )
    return {name: runs for name, runs in chosen.items() if runs}
