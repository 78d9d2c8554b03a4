"""Recorded learning curves: of a study's finished trials, or of a CSV file."""

import csv
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hbpr.errors import ConfigError
from tune.schedulers import AshaSettings, SchedulerSettings
from tune.space import Space
from tune.space.dimensions import Dimension
from tune.space.domains import Choice, Domain, FloatRange, IntRange

logger = logging.getLogger(__name__)

_COLUMNS: Final = ("trial", "epoch", "value", "seconds")


@dataclass(frozen=True)
class Curve:
    """A trial that ran to its end.

    Attributes:
        values: Dotted setting -> value.
        reports: Epoch, value (higher is better) and seconds since the report before; by epoch.
    """

    values: dict[str, Any]
    reports: tuple[tuple[int, float, float], ...]

    @property
    def best(self) -> float:
        """Its best value."""
        return max(value for _, value, _ in self.reports)

    @property
    def seconds(self) -> float:
        """Seconds that it took."""
        return sum(seconds for _, _, seconds in self.reports)


@dataclass(frozen=True)
class Curves:
    """What a search could have found.

    Attributes:
        space: Where the curves' settings come from.
        curves: At least two.
        scheduler: That of the recorded study; the default one for a file.
    """

    space: Space
    curves: tuple[Curve, ...]
    scheduler: SchedulerSettings

    @property
    def max_epochs(self) -> int:
        """Epochs of the longest trial."""
        return max(curve.reports[-1][0] for curve in self.curves)


def read_curves(path: str | Path) -> Curves:
    """Read the curves of a study's folder, or of a CSV file.

    A CSV file has the columns ``trial``, ``epoch``, ``value`` and, if measured, ``seconds`` since
    the report before; every other column is a setting. Its space reaches from the lowest to the
    highest value of each.

    Raises:
        ConfigError: There are no such curves, or fewer than two.
    """
    found = _of_study(path) if Path(path).is_dir() else _of_file(Path(path))
    if len(found.curves) < 2:
        raise ConfigError(
            f"{path}: {len(found.curves)} trials ran to their end, at least 2 are needed. Record "
            "them in a study with sweep.scheduler.kind: none and search.algorithm: random"
        )
    return found


def _of_study(path: str | Path) -> Curves:
    from tune.warm_start.earlier import read_study

    study = read_study(path, "CURVES")
    plan = study.plan
    if not plan.goals.plain:
        raise ConfigError(
            f"{path}: a study of several objectives or with limits, and a replay compares trials "
            "by one metric. Record curves with a study that has sweep.metric alone"
        )
    if not plan.scheduler.replayable:
        raise ConfigError(
            f"{path}: a study with scheduler.kind {plan.scheduler.kind}, whose trials change "
            "settings on the way: there is no curve of one setting to replay. Record curves with "
            "kind: none"
        )
    curves = []
    for trial in study.trials:
        points = sorted(trial.reports.items())
        if trial.state != "COMPLETE" or not points:
            continue
        per_epoch = (trial.seconds or float(points[-1][0])) / points[-1][0]
        before = [0, *(epoch for epoch, _ in points)]
        reports = [
            (epoch, value, per_epoch * (epoch - last))
            for (epoch, value), last in zip(points, before, strict=False)
        ]
        curves.append(Curve(trial.values, tuple(reports)))
    left_out = sum(trial.state == "PRUNED" for trial in study.trials)
    if left_out:
        logger.warning(
            "%s: %d trials were stopped early and are left out; what remains is better than random",
            path,
            left_out,
        )
    return Curves(plan.space, tuple(curves), plan.scheduler)


def _of_file(path: Path) -> Curves:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: neither a study's folder nor a CSV file ({error})") from error
    names = list(rows[0]) if rows else []
    missing = [name for name in _COLUMNS[:3] if name not in names]
    if missing:
        got = ", ".join(map(str, names)) or "none"
        raise ConfigError(f"{path}: the column {missing[0]} is missing, got {got}")
    keys = [name for name in names if name not in _COLUMNS]
    trials: dict[str, tuple[dict[str, Any], list[tuple[int, float, float]]]] = {}
    for line, row in enumerate(rows, start=2):
        values, reports = trials.setdefault(row["trial"], ({}, []))
        try:
            values |= {key: _parsed(row[key]) for key in keys}
            seconds = float(row["seconds"]) if row.get("seconds") else math.nan
            value = float(row["value"])
            if not math.isfinite(value):
                raise ValueError(f"value must be a finite number, got {value}")
            reports.append((int(row["epoch"]), value, seconds))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}, line {line}: cannot be read ({error})") from None
    space = _spanned(path, keys, [values for values, _ in trials.values()])
    curves = [Curve(space.inside(own), _in_order(reports)) for own, reports in trials.values()]
    return Curves(space, tuple(curves), AshaSettings())


def _in_order(reports: Sequence[tuple[int, float, float]]) -> tuple[tuple[int, float, float], ...]:
    """Sort reports by epoch; an epoch of unknown length counts as a second."""
    last, ordered = 0, []
    for epoch, value, seconds in sorted(reports):
        ordered.append((epoch, value, float(epoch - last) if math.isnan(seconds) else seconds))
        last = epoch
    return tuple(ordered)


def _parsed(text: str | None) -> Any:
    if not text:
        raise ValueError("a setting is empty")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _spanned(path: Path, keys: Sequence[str], trials: Sequence[Mapping[str, Any]]) -> Space:
    """Return the smallest space that holds all trials' settings; constants are left out."""
    dimensions = []
    for key in keys:
        column = [values[key] for values in trials]
        if len(set(column)) > 1:
            dimensions.append(Dimension(key, _domain(column)))
    if not dimensions:
        raise ConfigError(f"{path}: no setting differs between trials, got {', '.join(keys)}")
    return Space(tuple(dimensions))


def _domain(column: Sequence[Any]) -> Domain:
    if any(isinstance(value, str) for value in column):
        return Choice(tuple(dict.fromkeys(column)))
    low, high = min(column), max(column)
    log = low > 0 and high >= 10 * low
    if all(isinstance(value, int) for value in column):
        return IntRange(low, high, log=log)
    return FloatRange(float(low), float(high), log=log)


def finals(curves: Sequence[Curve]) -> list[Mapping[int, float]]:
    """Return epoch -> value of each curve, as `rank_correlations` takes them."""
    return [{epoch: value for epoch, value, _ in curve.reports} for curve in curves]
