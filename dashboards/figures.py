"""Drawing on axes that the caller made; no pyplot, so nothing is kept between calls.

Colours are those of Okabe and Ito, which stay apart for colour-blind readers and in grey.
"""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dashboards.charts import best_so_far
from dashboards.records import Records
from dashboards.words import metric_label

BEST: Final = "#D55E00"
STOPPED: Final = "#9AA0A6"
FAILED: Final = "#000000"
STUDIES: Final = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LOG_FROM: Final = 20.0


def style(axes: Axes) -> None:
    """Take away what is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E3E5E8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, color="#80868B")


def draw_learning_curves(axes: Axes, records: Records) -> None:
    """Draw the metric over epochs, a line for each run; the best one is named."""
    runs, best = records.runs, records.best()
    colours = _study_colours(runs)
    thin = min(1.2, 0.5 + 20 / max(len(records.curves), 1))
    order = runs.sort_values("value", na_position="first")
    for row in order.itertuples():
        curve = records.curves.get(str(row.run_id))
        if curve is None or not len(curve.epochs) or row.run_id == best["run_id"]:
            continue
        stopped = row.state != "finished"
        axes.plot(
            curve.epochs,
            curve.values,
            color=STOPPED if stopped else colours[str(row.study)],
            alpha=0.6 if stopped else 0.75,
            linewidth=thin,
            marker="o" if len(curve.epochs) == 1 else None,
            markersize=2.5,
            zorder=2 if stopped else 3,
        )
    curve = records.curves[best["run_id"]]
    axes.plot(curve.epochs, curve.values, color=BEST, linewidth=2.4, zorder=5)
    axes.plot(
        best["best_epoch"], best["value"], "o", color=BEST, markersize=6, zorder=6, mec="white"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric_label(records.metric))
    axes.set_title("Learning curves", loc="left", fontsize=11, fontweight="bold")
    style(axes)
    _legend_below(axes, _curve_handles(records, colours))


def draw_progress(axes: Axes, records: Records) -> None:
    """Draw each run's best value in order of start, and the best so far as steps."""
    runs = records.runs.reset_index(drop=True)
    number = np.arange(1, len(runs) + 1)
    states = [trial.state for trial in records.trials]
    so_far = best_so_far([trial.value for trial in records.trials], states)
    axes.step(number, np.array(so_far, float), where="post", color=BEST, linewidth=1.8, zorder=2)
    _scatter_states(axes, pd.Series(number, dtype=float), runs)
    missing = runs["value"].isna()
    if missing.any():
        low, high = axes.get_ylim()
        axes.plot(
            number[missing], np.full(int(missing.sum()), low), "x", color=FAILED, clip_on=False
        )
        axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("run, in order of start")
    axes.set_ylabel(f"best {metric_label(records.metric)}")
    axes.set_title("Progress of the search", loc="left", fontsize=11, fontweight="bold")
    style(axes)
    handles = [Line2D([], [], color=BEST, lw=1.8, label="best so far")]
    if missing.any():
        handles.append(
            Line2D([], [], color=FAILED, marker="x", ls="", label=f"no value ({missing.sum()})")
        )
    _legend_below(axes, handles)


def draw_setting(axes: Axes, records: Records, name: str) -> None:
    """Draw the runs' best values against one setting."""
    runs = records.runs[records.runs[name].notna()]
    column = runs[name]
    best = records.best()
    numeric = pd.to_numeric(column, errors="coerce")
    is_range = (
        not column.map(lambda value: isinstance(value, bool)).any()
        and numeric.notna().all()
        and (numeric.nunique() > 6 or bool((numeric % 1 != 0).any() and numeric.is_unique))
    )
    if is_range:
        _scatter_states(axes, numeric, runs)
        if _is_log(numeric):
            axes.set_xscale("log")
            decades = np.log10(numeric.max() / numeric.min())
            axes.xaxis.set_major_locator(
                LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0))
            )
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        at = float(numeric.get(best.name, np.nan))
    else:
        levels = sorted(column.unique(), key=lambda value: (isinstance(value, str), value))
        place = {str(level): position for position, level in enumerate(levels)}
        jitter = np.random.default_rng(0).uniform(-0.13, 0.13, len(runs))
        position = column.astype(str).map(place).astype(float) + jitter
        _scatter_states(axes, position, runs)
        for level, centre in place.items():
            values = runs.loc[column.astype(str) == level, "value"].dropna()
            if len(values):
                axes.hlines(values.median(), centre - 0.28, centre + 0.28, color="#3C4043", lw=1.6)
        axes.set_xticks(range(len(levels)), [_level_text(level, len(levels)) for level in levels])
        axes.set_xlim(-0.6, len(levels) - 0.4)
        at = float(position.get(best.name, np.nan))
    axes.plot(at, best["value"], "*", color=BEST, markersize=13, mec="white", zorder=6)
    axes.set_xlabel(name, fontsize=10)
    style(axes)


def grid_shape(n_plots: int, most_columns: int = 4) -> tuple[int, int]:
    """Rows and columns for a number of small plots, filled as evenly as can be.

    Example:
        >>> grid_shape(3), grid_shape(6), grid_shape(9)
        ((1, 3), (2, 3), (3, 3))
    """
    rows = -(-n_plots // most_columns)
    return rows, -(-n_plots // rows)


def comparison_grid(figure: FigureBase, records: Records, names: list[str]) -> None:
    """Fill a figure with one small plot a setting, all with the same value axis."""
    rows, columns = grid_shape(len(names))
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for place, name in zip(axes.flat, names, strict=False):
        draw_setting(place, records, name)
    for place in axes.flat[len(names) :]:
        place.remove()
    for row in axes:
        row[0].set_ylabel(f"best {metric_label(records.metric)}")


def state_legend(figure: FigureBase) -> None:
    """Explain the marks of the small plots once, above them."""
    handles = [
        Line2D([], [], color=BEST, marker="*", markersize=12, ls="", label="best run"),
        Line2D([], [], color=STUDIES[0], marker="o", ls="", label="finished"),
        Line2D([], [], color=STOPPED, marker="o", ls="", label="stopped early"),
        Line2D([], [], color="#3C4043", lw=1.6, label="median of a choice"),
    ]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=9
    )


def _curve_handles(records: Records, colours: dict[str, str]) -> list[Line2D]:
    """What the lines of the learning curves are, with how many there are of each kind."""
    runs, best = records.runs, records.best()
    handles = [
        Line2D([], [], color=BEST, lw=2.4, label=f"best: {best['run']}, {best['value']:.4f}")
    ]
    shown = runs[runs["value"].notna()]
    for study, colour in colours.items():
        count = int(((shown["study"] == study) & (shown["state"] == "finished")).sum())
        if count:
            name = f"finished ({count})" if len(colours) == 1 else f"{study} ({count})"
            handles.append(Line2D([], [], color=colour, lw=1.5, label=name))
    others = shown[shown["state"] != "finished"]
    if len(others):
        only_stopped = bool((others["state"] == "stopped").all())
        word = "stopped early" if only_stopped else "stopped, failed or running"
        handles.append(Line2D([], [], color=STOPPED, lw=1.5, label=f"{word} ({len(others)})"))
    return handles


def _legend_below(axes: Axes, handles: list[Line2D]) -> None:
    """Put a legend of one row below the axes."""
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )


def _is_log(values: pd.Series) -> bool:
    """Whether values over a wide range lie more evenly by their logarithms."""
    low, high, middle = values.min(), values.max(), values.median()
    if low <= 0 or high / low < _LOG_FROM:
        return False
    plain = (middle - low) / (high - low)
    by_log = np.log(middle / low) / np.log(high / low)
    return bool(abs(by_log - 0.5) < abs(plain - 0.5))


def _scatter_states(axes: Axes, x: pd.Series, runs: pd.DataFrame) -> None:
    colours = _study_colours(runs)
    for (study, state), part in runs.groupby(["study", "state"], sort=False):
        done = state == "finished"
        axes.scatter(
            x.loc[part.index],
            part["value"],
            s=30 if done else 20,
            color=colours[str(study)] if done else STOPPED,
            alpha=0.85 if done else 0.6,
            edgecolors="white",
            linewidths=0.5,
            zorder=4 if done else 3,
        )


def _study_colours(runs: pd.DataFrame) -> dict[str, str]:
    studies = [str(study) for study in runs["study"].unique()]
    return {study: STUDIES[i % len(STUDIES)] for i, study in enumerate(studies)}


def _level_text(level: object, n_levels: int) -> str:
    text = str(level)
    longest = 18 if n_levels <= 3 else 12 if n_levels <= 5 else 8
    return text if len(text) <= longest else text[: longest - 1] + "…"
