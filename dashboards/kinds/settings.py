"""Values against settings: one by one, and all side by side."""

import math
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np
import pandas as pd

from dashboards.kinds.common import (
    by_state,
    counted,
    only_largest,
    series_of,
    star,
    value_axis,
)
from dashboards.marks import BEST, STOPPED, Axis, Line, Lines, Mark, Panel
from dashboards.picture import Picture
from dashboards.records import Records
from dashboards.scales import ABSENT, Scale, level_text
from dashboards.words import metric_label
from hbpr.errors import ConfigError
from hbpr.words import did_you_mean

_MOST_PANELS: Final = 12


def chosen_settings(records: Records, names: Sequence[str], rows: pd.DataFrame) -> list[str]:
    """Return the settings that are asked for, or the first that differ between the runs drawn.

    Raises:
        ConfigError: One was not recorded, or none differs.
    """
    if not names:
        found = records.searched_among(rows)
        if not found:
            raise ConfigError(f"{records.title}: no setting differs between its runs")
        return found[:_MOST_PANELS]
    for name in names:
        if name not in records.settings:
            raise ConfigError(
                f"setting {name!r}: not recorded; there are {', '.join(records.settings)}."
                + did_you_mean(name, records.settings, "", shown=repr, most=3, likeness=0.4)
            )
    return list(names)


def slices(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return the runs' best values against each setting; runs without it stand at the side."""
    rows, note = only_largest(records)
    chosen = chosen_settings(records, names, rows)
    scales = records.scales_among(rows)
    best = records.best(rows)
    panels = []
    for name in chosen:
        x, axis = places(records, scales[name], rows)
        marks: list[Mark] = list(by_state(series_of(records, rows), x))
        if scales[name].kind == "choice":
            marks.append(_medians(x.round(), rows))
        if best is not None:
            marks.append(star(best, x))
        panels.append(Panel(axis, value_axis(records, "best "), tuple(marks)))
    columns = -(-len(panels) // -(-len(panels) // 4))
    rest = len(records.searched_among(rows)) - len(chosen)
    more = f" {rest} more settings differ." if not names and rest > 0 else ""
    return Picture(
        "slices",
        f"Values against settings: {records.title}",
        f"{counted(records, rows)} Lines: medians of choices.{more}{note}",
        tuple(panels),
        columns,
        records.names,
        share_y=True,
    )


def parallel(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return a line a run through all settings to its value; one without a setting passes below."""
    rows, note = only_largest(records)
    chosen = chosen_settings(records, names, rows)
    scales = records.scales_among(rows)
    known = rows[rows["value"].notna()].sort_values("value", ascending=not records.lower)
    if not len(known):
        raise ConfigError(f"{records.title}: no run of the largest group has a value")
    shares = np.column_stack(
        [_shares(records, scales[name], known) for name in chosen] + [_value_share(known["value"])]
    )
    values = known["value"].to_numpy(float)
    ranks = np.linspace(0.0, 1.0, len(known))
    at = np.arange(len(chosen) + 1.0)
    lines = [Line(at, row, int(place)) for row, place in zip(shares, known.index, strict=True)]
    thirds = [
        ("lower half", STOPPED, 0.7, 0.35, ranks < 0.5),
        ("upper half", "#56B4E9", 0.9, 0.55, (ranks >= 0.5) & (ranks < 0.9)),
        ("best tenth", "#0072B2", 1.3, 0.85, ranks >= 0.9),
    ]
    marks: list[Mark] = [
        Lines(tuple(lines[i] for i in np.flatnonzero(part)), name, colour, width, opacity)
        for name, colour, width, opacity, part in thirds
        if part.any()
    ]
    best = records.best(rows)
    if best is not None:
        place = int(np.flatnonzero(known.index == best.name)[0])
        marks.append(Lines((lines[place],), "best", BEST, 2.6))
    labels = [_ends(scales[name]) for name in chosen]
    texts = [
        *(
            f"{_in_lines(name)}\n{low} … {high}"
            for name, (low, high) in zip(chosen, labels, strict=True)
        ),
        f"{metric_label(records.metric)}\n{values.min():.4g} … {values.max():.4g}",
    ]
    ticks = ((-0.15, ABSENT), (0.0, "low"), (0.5, "middle"), (1.0, "high"))
    panel = Panel(
        Axis(ticks=tuple(enumerate(texts)), low=-0.4, high=len(chosen) + 0.4),
        Axis("place between the ends of the space", ticks=ticks, low=-0.22, high=1.05),
        tuple(marks),
    )
    return Picture(
        "parallel",
        f"Settings side by side: {records.title}",
        f"{counted(records, rows)} A run without a setting passes at “{ABSENT}”.{note}",
        (panel,),
        1,
        records.names,
    )


def _in_lines(name: str) -> str:
    """Return a dotted setting in two lines, so that it fits below its place."""
    section, dot, last = name.rpartition(".")
    return f"{section}{dot}\n{last}" if section else name


def places(records: Records, scale: Scale, rows: pd.DataFrame) -> tuple[pd.Series, Axis]:
    """Return where each run lies on a setting's axis, and the axis.

    What is no number of a range, and runs without the setting, have a lane at its side.
    """
    name = scale.name
    values = {i: records.values[i].get(name, ABSENT) for i in rows.index}
    if scale.kind == "choice":
        levels = list(scale.levels)
        if any(value == ABSENT for value in values.values()):
            levels.append(ABSENT)
        jitter = np.random.default_rng(crc32(name.encode())).uniform(-0.15, 0.15, len(values))
        at = {
            i: levels.index(level_text(value)) + shift
            for (i, value), shift in zip(values.items(), jitter, strict=True)
        }
        ticks = tuple((float(i), level) for i, level in enumerate(levels))
        return pd.Series(at, dtype=float), Axis(name, ticks=ticks, low=-0.6, high=len(levels) - 0.4)
    return _on_range(scale, values)


def _on_range(scale: Scale, values: dict[int, Any]) -> tuple[pd.Series, Axis]:
    at = pd.Series({i: scale.place(value) for i, value in values.items()}, dtype=float)
    aside = {i: level_text(values[i]) for i in at.index[at.isna()]}
    log = scale.kind == "log"
    if not aside:
        ticks = [(number, scale.text(number)) for number in _decades(scale)] if log else []
        return at, Axis(scale.name, log, scale.whole, tuple(ticks))
    lanes = list(dict.fromkeys(aside.values()))
    step = (scale.high / scale.low) ** 0.12 if log else (scale.high - scale.low or 1.0) * 0.12
    where = {
        lane: scale.low / step ** (i + 1) if log else scale.low - step * (i + 1)
        for i, lane in enumerate(lanes)
    }
    for i, lane in aside.items():
        at[i] = where[lane]
    numbers = _numbers(scale)
    ticks = [(place, lane) for lane, place in where.items()]
    ticks += [(number, scale.text(number)) for number in numbers]
    return at, Axis(scale.name, log, ticks=tuple(sorted(ticks)))


def _decades(scale: Scale) -> list[float]:
    """Return powers of ten on a range, and of a short one twice and five times these."""
    first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [each for each in found if scale.low <= each * (1 + 1e-9) and each <= scale.high]


def _numbers(scale: Scale) -> list[float]:
    """Return about four numbers of a range to write at its axis."""
    if scale.kind == "log":
        found = np.geomspace(scale.low, scale.high, 4)
        return [float(f"{each:.1g}") for each in found]
    found = np.linspace(scale.low, scale.high, 4)
    return [float(round(each)) if scale.whole else float(f"{each:.3g}") for each in found]


def _medians(levels: pd.Series, rows: pd.DataFrame) -> Lines:
    lines = []
    for level, part in rows["value"].groupby(levels):
        values = part.dropna().to_numpy(float)
        if len(values):
            lines.append(
                Line(np.array([level - 0.3, level + 0.3]), np.full(2, float(np.median(values))))
            )
    return Lines(tuple(lines), "", "#3C4043", 1.8)


def _shares(records: Records, scale: Scale, rows: pd.DataFrame) -> np.ndarray:
    name = scale.name
    found = []
    for i in rows.index:
        values = records.values[i]
        share = scale.share(values[name]) if name in values else math.nan
        found.append(-0.15 if math.isnan(share) else share)
    return np.array(found)


def _value_share(values: pd.Series) -> np.ndarray:
    numbers = values.to_numpy(float)
    spread = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / spread if spread else np.full(len(numbers), 0.5)


def _ends(scale: Scale) -> tuple[str, str]:
    if scale.kind != "choice":
        return scale.text(scale.low), scale.text(scale.high)
    return scale.levels[0], scale.levels[-1]
