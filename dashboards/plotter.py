"""Compare the runs of experiments: tables for code, pictures for people."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dashboards.kinds import KINDS
from dashboards.picture import Picture, checked_target
from dashboards.records import Records, tabulate
from hbpr.errors import ConfigError
from hbpr.names import EVAL_S, TRAIN_S
from hbpr.tracking.reader import History, MlflowReader
from hbpr.tracking.store import default_tracking_uri
from hbpr.words import did_you_mean

if TYPE_CHECKING:
    from os import PathLike

    from dashboards.compare import Comparisons

#: One name, or several.
Names = str | Sequence[str]
TABLES = (".csv", ".parquet")
#: Columns of a table of curves.
_POINT = ["run_id", "run", "metric", "epoch", "value"]


class MLflowPlotter:
    """Plots and tables of runs in MLflow: those of hbpr, and of other tools as far as they go.

    Every method takes one experiment or several. A run's value is its best of the metric over all
    epochs. Runs whose metrics were measured on other data, or on another split, are never ranked
    against each other: each such group has its own ranks, its own best run and its own panel. The
    run of a study itself is left out: its trials are what is compared.

    What starts with ``plot_`` returns a `dashboards.picture.Picture`: notebooks show it,
    ``save("curves.pdf")`` writes it, ``to_matplotlib()`` and ``to_plotly()`` give the figures.
    Where ``metric`` is None, it is the one that the studies maximise, or that most runs have.

    Args:
        tracking: Tracking URI, or the path of MLflow's SQLite file; default:
            ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.

    Example:
        ::

            plotter = MLflowPlotter("mlflow.db")
            plotter.summary_table(["ml-100k", "ml-1m"])
            plotter.plot_runs_comparison("ml-100k").save("curves.pdf")
            plotter.report(["ml-100k", "ml-1m"], "report.html")
    """

    def __init__(self, tracking: "str | PathLike[str] | None" = None) -> None:
        text = str(tracking) if tracking is not None else default_tracking_uri()
        self.tracking_uri = text if "://" in text else f"sqlite:///{Path(text).absolute()}"
        self._reader = MlflowReader(self.tracking_uri)

    def get_experiments(self) -> pd.DataFrame:
        """Return name, id and times of all experiments, by name.

        Raises:
            TrackingError: MLflow does not answer.
        """
        found = self._reader.experiments()
        table = pd.DataFrame(found, columns=["experiment", "id", "made", "changed"])
        for name in ("made", "changed"):
            table[name] = pd.to_datetime(table[name], unit="ms")
        return table

    def get_runs(
        self, experiments: Names, *, metric: str | None = None, study: str | None = None
    ) -> pd.DataFrame:
        """Return all runs, in order of start, with every setting and last metric value.

        Args:
            experiments: Names of experiments.
            metric: Metric that the columns value, best_epoch and epochs speak of.
            study: Name or id of one study; None for all runs.

        Raises:
            ConfigError: No such experiment or study, or no run has the metric.
            TrackingError: MLflow does not answer.
        """
        return self.records(experiments, metric, study).runs

    def get_run_metrics_history(self, runs: Names, metrics: Names | None = None) -> pd.DataFrame:
        """Return all values of some runs: the columns run_id, run, metric, epoch and value.

        Args:
            runs: Ids of runs, such as `get_runs` has, or names of experiments, all of whose runs
                are then taken.
            metrics: Names of metrics; None: all of them, for experiments the one that is compared.

        Raises:
            ConfigError: There is neither such a run nor such an experiment.
            TrackingError: MLflow does not answer.
        """
        names = _listed(runs)
        known = {found.name for found in self._reader.experiments()}
        rows: list[tuple[str, str, str, int, float]] = []
        for experiment in [name for name in names if name in known]:
            asked: list[str | None] = [*_listed(metrics)] or [None]
            for metric in asked:
                rows += _points(self.records(experiment, metric, curves=True))
        single = [name for name in names if name not in known]
        rows += [
            (run_id, history.name, metric, epoch, value)
            for run_id, history in self._histories(single, known, metrics).items()
            for metric, curve in history.curves.items()
            for epoch, value in curve.items()
        ]
        return pd.DataFrame(rows, columns=_POINT)

    def summary_table(
        self, experiments: Names, *, metric: str | None = None, study: str | None = None
    ) -> pd.DataFrame:
        """Return one row a run, best first: value, epochs, state, time and what was searched.

        The index is the rank, from 1, among the runs that compare; runs without a value come last.
        """
        return self.records(experiments, metric, study).summary()

    def best_runs(
        self,
        experiments: Names,
        n: int = 10,
        *,
        metric: str | None = None,
        study: str | None = None,
    ) -> pd.DataFrame:
        """Return the n best runs of each group that compares, in the form of `summary_table`."""
        table = self.summary_table(experiments, metric=metric, study=study)
        return table[table.index <= n]

    def plot_runs_comparison(
        self, experiments: Names, metric: str | None = None, *, study: str | None = None
    ) -> Picture:
        """Return the learning curves of all runs: stopped ones faded, the best one on top."""
        return self.plot("curves", experiments, metric=metric, study=study)

    def plot_best_runs(
        self,
        experiments: Names,
        n: int = 10,
        *,
        metric: str | None = None,
        study: str | None = None,
    ) -> Picture:
        """Return the learning curves of the n best runs of each group that compares."""
        from dashboards.kinds.curves import curves

        records = self.records(experiments, metric, study, curves=True)
        table = records.summary()
        kept = set(table[table.index <= n]["run_id"])
        some = {run_id: curve for run_id, curve in records.curves.items() if run_id in kept}
        picture = curves(replace(records, curves=some))
        return replace(
            picture,
            title=f"The {n} best runs: {records.title}",
            caption=f"The best {n} of {picture.caption}",
        )

    def plot_single_run(self, runs: Names) -> Picture:
        """Return all metrics of one run, or of several side by side, over epochs.

        Args:
            runs: Ids of runs, or experiments, of each of which the best run is taken, one for each
                group of runs that compare.

        Raises:
            ConfigError: There is neither such a run nor such an experiment.
        """
        from dashboards.kinds.single import runs_of

        known = {found.name for found in self._reader.experiments()}
        ids = []
        for name in _listed(runs):
            if name in known:
                records = self.records(name)
                best = [records.best(rows) for rows in records.groups.values()]
                ids += [str(each["run_id"]) for each in best if each is not None]
            else:
                ids.append(name)
        if not ids:
            raise ConfigError(f"{', '.join(_listed(runs)) or 'no run'}: no run has a value")
        return runs_of(self._histories(ids, known, None))

    def plot(
        self,
        kind: str,
        experiments: Names,
        *,
        settings: Names = (),
        metric: str | None = None,
        study: str | None = None,
    ) -> Picture:
        """Return a picture of one of the kinds of `dashboards.kinds.KINDS`.

        Args:
            kind: ``curves``, ``progress``, ``slices``, ``parallel``, ``contour``, ``importance``,
                ``front``, ``seeds``, ``timeline``, ``cost`` or ``panel``.
            experiments: Names of experiments.
            settings: Dotted settings that slices, parallel and contour show; none: those that
                differ between runs, or the two that matter most.
            metric: Metric to compare by.
            study: Name or id of one study; None for all runs.

        Raises:
            ConfigError: No such kind, experiment, study or setting, or nothing to draw.
            TrackingError: MLflow does not answer.
        """
        found = KINDS.get(kind)
        if found is None:
            every = f" Kinds: {', '.join(KINDS)}"
            raise ConfigError(
                f"no kind of picture is called {kind!r}." + did_you_mean(kind, KINDS, every)
            )
        records = self.records(
            experiments, metric, study, curves=found.curves, seconds=kind == "cost"
        )
        return found(records, _listed(settings))

    def plot_slices(self, experiments: Names, settings: Names = (), **about: str) -> Picture:
        """Return the values against each setting; `about`: metric and study, as in `plot`."""
        return self.plot("slices", experiments, settings=settings, **about)

    def plot_parallel(self, experiments: Names, settings: Names = (), **about: str) -> Picture:
        """Return a line a run through all settings; those without one are shown."""
        return self.plot("parallel", experiments, settings=settings, **about)

    def plot_contour(self, experiments: Names, settings: Names = (), **about: str) -> Picture:
        """Return the values over two settings."""
        return self.plot("contour", experiments, settings=settings, **about)

    def compare(
        self,
        left: str,
        right: str,
        *,
        metric: str | None = None,
    ) -> "Comparisons":
        """Return the best runs of two sides side by side, with a test over their seeds.

        They are compared on each data and split that both have runs of.

        Args:
            left: Name of an experiment, or ``EXPERIMENT/STUDY`` with a study's id.
            right: Likewise.
            metric: Metric to compare by; None: the one of the left side.

        Raises:
            ConfigError: There is no such experiment or study, or it has no value.
        """
        from dashboards.compare import compare

        known = {found.name for found in self._reader.experiments()}
        sides: list[Records] = []
        for side in (left, right):
            name, study = (side, "") if side in known or "/" not in side else side.rsplit("/", 1)
            use = metric or (sides[0].metric if sides else None)
            sides.append(self.records(name, use, study or None))
        return compare(*sides)

    def report(
        self,
        experiments: Names,
        path: "str | PathLike[str]",
        *,
        metric: str | None = None,
        study: str | None = None,
    ) -> Path:
        """Write one HTML page with everything, which needs nothing beside it.

        Returns:
            The file.

        Raises:
            ConfigError: It does not end in .html, there is no such folder, or what `get_runs` says.
        """
        from dashboards.report_page import report_page

        target = checked_target(path, (".html",))
        records = self.records(experiments, metric, study, curves=True, seconds=True)
        target.write_text(
            report_page(records, self.tracking_uri, metric=metric, study=study), encoding="utf-8"
        )
        return target

    def save_table(
        self,
        experiments: Names,
        path: "str | PathLike[str]",
        *,
        metric: str | None = None,
        study: str | None = None,
        curves: bool = False,
    ) -> Path:
        """Write `summary_table`, or with `curves` all curves, as .csv or .parquet."""
        target = checked_target(path, TABLES)
        if curves:
            points = _points(self.records(experiments, metric, study, curves=True))
            table = pd.DataFrame(points, columns=_POINT)
        else:
            table = self.summary_table(experiments, metric=metric, study=study)
        if target.suffix.lower() == ".csv":
            table.to_csv(target, index=not curves)
        else:
            as_texts = {
                name: table[name].map(lambda value: None if pd.isna(value) else str(value))
                for name in map(str, table)
                if table[name].dtype == object
            }
            table.assign(**as_texts).to_parquet(target, index=not curves)
        return target

    def records(
        self,
        experiments: Names,
        metric: str | None = None,
        study: str | None = None,
        *,
        curves: bool = False,
        seconds: bool = False,
    ) -> Records:
        """Return what all tables and pictures are made of.

        Args:
            experiments: Names of experiments.
            metric: Metric to compare by.
            study: Name or id of one study.
            curves: Whether to read all values of each run, not only the best and the last.
            seconds: Whether to read the seconds of training and evaluation of each run.
        """
        names = _listed(experiments)
        if not names:
            raise ConfigError("name at least one experiment")
        records = tabulate(self._reader.read(names, metric, study, curves=curves))
        if not seconds:
            return records
        spent: dict[str, float] = {}
        for part in (TRAIN_S, EVAL_S):
            for run_id, curve in self._reader.curves(records.trials, part).items():
                spent[run_id] = spent.get(run_id, 0.0) + sum(curve.values())
        return replace(records, seconds=spent)

    def _histories(
        self, run_ids: list[str], known: set[str], metrics: Names | None
    ) -> dict[str, History]:
        try:
            return self._reader.histories(run_ids, _listed(metrics))
        except ConfigError as error:
            near = did_you_mean(run_ids[0], sorted(known), "", shown=repr, most=3, likeness=0.4)
            raise ConfigError(
                f"{', '.join(run_ids)}: neither the id of a run nor an experiment.{near}"
            ) from error

    def __repr__(self) -> str:
        """Say where it reads."""
        return f"MLflowPlotter({self.tracking_uri!r})"

    def _repr_html_(self) -> str:
        """Show the experiments in notebooks."""
        return str(self.get_experiments().to_html(index=False))


def _points(records: Records) -> list[tuple[str, str, str, int, float]]:
    """Return a row of `_POINT` for each point of the curves."""
    by_id = dict(zip(records.runs["run_id"], records.runs["run"], strict=True))
    return [
        (run_id, by_id[run_id], records.metric, int(epoch), float(value))
        for run_id, curve in records.curves.items()
        for epoch, value in zip(curve.epochs, curve.values, strict=True)
    ]


def _listed(names: Names | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
