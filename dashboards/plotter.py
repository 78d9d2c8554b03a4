"""Compare the runs of an experiment: tables for code, figures for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine

from dashboards import figures
from dashboards.records import Records, tabulate
from hbpr.errors import ConfigError
from hbpr.tracking.reader import read_experiment
from hbpr.tracking.store import default_tracking_uri

if TYPE_CHECKING:
    from os import PathLike

METRIC: Final = "val/ndcg_at_10"
#: Kinds of files that `MLflowPlotter.save` writes.
SUFFIXES: Final = (".png", ".svg", ".pdf", ".html", ".csv")
_MOST_PANELS: Final = 12


class MLflowPlotter:
    """Plots and tables of the runs that hbpr recorded in MLflow.

    A run's value is its best of the metric over all epochs; metrics are better the higher. The run
    of a study itself is left out: its trials are what is compared.

    Args:
        tracking_uri: SQLite file or server; default: ``MLFLOW_TRACKING_URI``, else
            ``sqlite:///mlflow.db``.

    Example:
        ::

            plotter = MLflowPlotter("sqlite:///mlflow.db")
            plotter.best_runs("ml-100k", n=5)
            plotter.learning_curves("ml-100k").savefig("curves.png")
            plotter.save("ml-100k", "ml-100k.html")
    """

    def __init__(self, tracking_uri: str | None = None) -> None:
        self.tracking_uri = tracking_uri or default_tracking_uri()

    def runs(
        self, experiment: str, *, metric: str = METRIC, study: str | None = None
    ) -> pd.DataFrame:
        """Return all runs, in order of start, with every setting and last metric value.

        Args:
            experiment: Name of the experiment.
            metric: Metric that the columns value, best_epoch and epochs speak of.
            study: Name or id of one study; None for all runs.

        Raises:
            ConfigError: No such experiment or study, or no run has the metric.
            TrackingError: MLflow does not answer.
        """
        return self._read(experiment, metric, study).runs

    def best_runs(
        self, experiment: str, n: int = 10, *, metric: str = METRIC, study: str | None = None
    ) -> pd.DataFrame:
        """Return the n runs with the highest values, best first, in the form of `summary_table`."""
        return self.summary_table(experiment, metric=metric, study=study).head(n)

    def summary_table(
        self, experiment: str, *, metric: str = METRIC, study: str | None = None
    ) -> pd.DataFrame:
        """Return one row a run, best first: value, epochs, state, time and what was searched.

        The index is the rank, from 1; runs without a value come last.
        """
        return self._read(experiment, metric, study).summary()

    def learning_curves(
        self,
        experiment: str,
        metric: str = METRIC,
        *,
        study: str | None = None,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw the metric over epochs for all runs; stopped ones in grey, the best one on top.

        Args:
            experiment: Name of the experiment.
            metric: Metric to draw.
            study: Name or id of one study; None for all runs.
            ax: Axes to draw on; None makes a figure.

        Returns:
            The figure; save it with ``figure.savefig(FILE)``.
        """
        records = self._read(experiment, metric, study)
        if ax is None:
            ax = _figure(9, 5.2).subplots()
        figures.draw_learning_curves(ax, records)
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure

    def compare_runs(
        self,
        experiment: str,
        *,
        params: Sequence[str] | None = None,
        metric: str = METRIC,
        study: str | None = None,
    ) -> Figure:
        """Draw the runs' values against each setting, in small plots side by side.

        Args:
            experiment: Name of the experiment.
            params: Settings under dotted names; None for all that differ between runs.
            metric: Metric to compare.
            study: Name or id of one study; None for all runs.

        Raises:
            ConfigError: A setting was not recorded, or no setting differs between the runs.
        """
        records = self._read(experiment, metric, study)
        names = _panels(records, params)
        rows, columns = figures.grid_shape(len(names))
        figure = _figure(max(3.4 * columns + 0.6, 6.0), 2.9 * rows + 0.5)
        figures.comparison_grid(figure, records, names)
        figures.state_legend(figure)
        return figure

    def report(self, experiment: str, metric: str = METRIC, *, study: str | None = None) -> Figure:
        """Draw learning curves, the search's progress and the settings on one page."""
        return _page(self._read(experiment, metric, study), study)

    def save(
        self,
        experiment: str,
        path: "str | PathLike[str]",
        metric: str = METRIC,
        *,
        study: str | None = None,
    ) -> Path:
        """Write the report to a file, by its suffix.

        ``.png``, ``.svg`` and ``.pdf`` hold the page of `report`, ``.html`` a single file with the
        page and the table, ``.csv`` the table alone.

        Returns:
            The file.

        Raises:
            ConfigError: The suffix is none of these, there is no such folder, or what `runs` says.
        """
        target = Path(path)
        if target.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{target}: expected a file ending in {', '.join(SUFFIXES)}")
        if not target.absolute().parent.is_dir():
            raise ConfigError(f"{target}: there is no folder {target.absolute().parent}")
        records = self._read(experiment, metric, study)
        if target.suffix.lower() == ".csv":
            records.summary().to_csv(target, index_label="rank")
        elif target.suffix.lower() == ".html":
            from dashboards.experiment_page import experiment_page

            figure = _page(records, study, progress=False)
            target.write_text(experiment_page(records, figure), encoding="utf-8")
        else:
            _page(records, study).savefig(target, dpi=150)
        return target

    def _read(self, experiment: str, metric: str, study: str | None) -> Records:
        studies = read_experiment(self.tracking_uri, experiment, metric, study)
        return tabulate(experiment, metric, studies)


def _panels(records: Records, params: Sequence[str] | None) -> list[str]:
    if params is None:
        names = records.searched[:_MOST_PANELS]
        if not names:
            raise ConfigError(
                f"experiment {records.experiment!r}: no setting differs between its runs"
            )
        return names
    unknown = [name for name in params if name not in records.settings]
    if unknown or not params:
        raise ConfigError(
            f"params: expected settings that were recorded, got {list(params)}; "
            f"there are {', '.join(records.settings) or 'none'}"
        )
    return list(params)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))


def _page(records: Records, study: str | None, *, progress: bool = True) -> Figure:
    """Return all figures on one page; HTML draws the progress itself."""
    names = records.searched[:_MOST_PANELS]
    rows, _ = figures.grid_shape(max(1, len(names)))
    top_height, below_height = 5.6, 2.9 * rows + 0.4 if names else 0.0
    figure = _figure(14, top_height + below_height)
    top: FigureBase = figure
    below: FigureBase | None = None
    if names:
        heights = [top_height, below_height]
        parts = figure.subfigures(2, 1, height_ratios=heights, hspace=0.03, squeeze=False)
        top, below = parts[0, 0], parts[1, 0]
    if progress:
        curves, beside = top.subplots(1, 2, width_ratios=[3, 2])
        figures.draw_progress(beside, records)
    else:
        curves = top.subplots()
    figures.draw_learning_curves(curves, records)
    counts = records.runs["state"].value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    title = records.experiment + (f" · {study}" if study else "")
    top.suptitle(
        f"{title}: {len(records.runs)} runs ({states})",
        x=0.01,
        ha="left",
        fontsize=14,
        fontweight="bold",
    )
    if below is not None:
        figures.comparison_grid(below, records, names)
        figures.state_legend(below)
    return figure
