"""What a study found: what mattered, the front, and finalists with other seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dashboards.kinds.common import counted, series_name
from dashboards.marks import BEST, SERIES, STOPPED, Axis, Line, Lines, Mark, Panel, Points, Spans
from dashboards.picture import Picture
from dashboards.records import Records
from dashboards.words import metric_label
from hbpr.errors import ConfigError
from hbpr.tracking.findings import LEAST_TRIALS, Finalist
from hbpr.tracking.records import StudyRecord, TrialRecord


class Shown(NamedTuple):
    """A trial with its row among all runs and its values of two objectives."""

    row: int
    trial: TrialRecord
    x: float
    y: float


def importance(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return what the winner of each study loses with another value of one setting alone.

    Raises:
        ConfigError: No study recorded it.
    """
    panels = []
    said = []
    for study in records.studies:
        for found in study.findings.importance:
            effects = found.effects[::-1]
            if not effects:
                continue
            at = np.arange(len(effects), dtype=float)
            costs, lows, highs = (
                np.array([getattr(each, end) for each in effects])
                for end in ("cost", "low", "high")
            )
            sure = lows > 0.0
            marks: list[Mark] = [
                Spans(
                    at[part],
                    np.zeros(int(part.sum())),
                    costs[part],
                    np.full(int(part.sum()), -1),
                    word,
                    colour,
                    lows[part],
                    highs[part],
                )
                for word, colour, part in (
                    ("matters", SERIES[0], sure),
                    ("not sure: the interval holds 0", STOPPED, ~sure),
                )
                if part.any()
            ]
            ticks = tuple((float(i), each.setting) for i, each in enumerate(effects))
            axis = Axis(f"loss of {metric_label(found.metric)}")
            panels.append(Panel(axis, Axis(ticks=ticks), tuple(marks), _title(records, study)))
            said.append(f"{found.n_trials} trials, of which {found.n_stopped} were stopped")
    if not panels:
        raise ConfigError(
            f"{records.title}: no study recorded what mattered; studies of {LEAST_TRIALS} trials "
            "or more do when they end"
        )
    return Picture(
        "importance",
        f"What mattered: {records.title}",
        f"Estimated from {'; '.join(said)}. Bars: mean loss with another value "
        "of one setting alone; lines: 95 % intervals.",
        tuple(panels),
        min(len(panels), 2),
    )


def front(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return the trials of each study with several objectives, by its first two, and the front.

    Raises:
        ConfigError: No study has several objectives.
    """
    place = {id(trial): i for i, trial in enumerate(records.trials)}
    panels = []
    for study in records.studies:
        if not study.goals.several:
            continue
        up, across = study.goals.objectives[:2]
        shown = [
            Shown(place[id(trial)], trial, values[across.metric], values[up.metric])
            for trial in study.trials
            if (values := trial.at_best) and across.metric in values and up.metric in values
        ]
        numbers = set(study.findings.front)
        ended = [row for row in shown if row.trial.state == "COMPLETE"]
        rest = [row for row in shown if row.trial.state != "COMPLETE"]
        marks: list[Mark] = [
            _points(rest, "stopped", STOPPED),
            _points(ended, "finished", SERIES[0]),
        ]
        on_front = sorted(
            (row for row in shown if row.trial.number in numbers), key=lambda row: row.x
        )
        if on_front:
            x, y = (np.array([getattr(row, at) for row in on_front]) for at in ("x", "y"))
            marks.append(Lines((Line(x, y),), "", BEST, 1.6))
            marks.append(_points(on_front, "Pareto front", BEST))
        axes = [
            Axis(
                f"{metric_label(each.metric)}, {'more' if each.mode == 'max' else 'less'} is better"
            )
            for each in (across, up)
        ]
        panels.append(Panel(axes[0], axes[1], tuple(marks), _title(records, study)))
    if not panels:
        raise ConfigError(f"{records.title}: no study has several objectives, so there is no front")
    return Picture(
        "front",
        f"Pareto front: {records.title}",
        f"{counted(records)} No trial is better than one of the front in both.",
        tuple(panels),
        min(len(panels), 2),
        records.names,
    )


def seeds(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return the values of finalists with each seed, and their means with 95 % intervals.

    Raises:
        ConfigError: No finalist was repeated.
    """
    panels = []
    for study in records.studies:
        finalists = study.findings.finalists
        if not finalists:
            continue
        at = np.arange(len(finalists), dtype=float)
        rows = {
            trial.number: i for i, trial in enumerate(records.trials) if records.owners[i] is study
        }
        values = np.concatenate([each.values for each in finalists])
        x = np.concatenate([np.full(len(f.values), i) for i, f in zip(at, finalists, strict=True)])
        runs = np.array([rows.get(f.number, -1) for f in finalists for _ in f.values], np.int64)
        means = np.array([each.mean for each in finalists])
        intervals = [
            Line(np.full(2, i), np.array([each.mean - half, each.mean + half]))
            for i, each in zip(at, finalists, strict=True)
            if math.isfinite(half := half_width(each))
        ]
        marks: list[Mark] = [
            Points(x, values, runs, "a seed", SERIES[0], "dot", 5.5, 0.7),
            Lines(tuple(intervals), "95 % interval of the mean", BEST, 2.0),
            Points(at, means, np.full(len(at), -1), "mean", BEST, "square", 6.5, 1.0),
        ]
        ticks = tuple(
            (float(i), f"trial {each.number}\n{len(each.values)} seeds")
            for i, each in enumerate(finalists)
        )
        panels.append(
            Panel(
                Axis(ticks=ticks, low=-0.6, high=len(finalists) - 0.4),
                Axis(metric_label(study.metric)),
                tuple(marks),
                _title(records, study),
            )
        )
    if not panels:
        raise ConfigError(
            f"{records.title}: no finalist was repeated with other seeds; see sweep.final"
        )
    return Picture(
        "seeds",
        f"Finalists with other seeds: {records.title}",
        "Intervals of a mean over seeds, by Student's t: how much the seed alone moves a value.",
        tuple(panels),
        min(len(panels), 2),
        records.names,
    )


def half_width(finalist: Finalist) -> float:
    """Return half of the 95 % interval of a finalist's mean; NaN for one seed."""
    from scipy.stats import t

    n = len(finalist.values)
    if n < 2:
        return math.nan
    return float(t.ppf(0.975, n - 1)) * finalist.deviation / math.sqrt(n)


def _points(rows: Sequence[Shown], name: str, colour: str) -> Points:
    return Points(
        np.array([row.x for row in rows], float),
        np.array([row.y for row in rows], float),
        np.array([row.row for row in rows], np.int64),
        name if rows else "",
        colour,
    )


def _title(records: Records, study: StudyRecord) -> str:
    if len(records.studies) == 1:
        return ""
    return series_name(records, study.identity.experiment, study.identity.name)
