"""Two experiments, studies or runs side by side: settings that differ, metrics, how sure it is."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboards.answer import finalist_of, welch
from dashboards.groups import all_settings
from dashboards.records import Records
from dashboards.scales import level_text
from dashboards.words import metric_label
from hbpr.tracking.findings import Finalist


@dataclass(frozen=True)
class Comparison:
    """The best run of each side.

    Attributes:
        names: What the two are.
        settings: Setting, value on the left, value on the right, where they differ.
        metrics: Metric and the two last values, where both have it.
        verdict: Which is better and how sure that is, or why they do not compare.
    """

    names: tuple[str, str]
    settings: tuple[tuple[str, str, str], ...]
    metrics: tuple[tuple[str, float, float], ...]
    verdict: str


def compare(left: Records, right: Records) -> Comparison:
    """Return the best runs of two records side by side; of one metric, each with a value."""
    sides = [(records, _best(records)) for records in (left, right)]
    settings = [_settings(records, row) for records, row in sides]
    names = sorted(settings[0].keys() | settings[1].keys())
    differing = [
        (name, *(level_text(each[name]) if name in each else "not set" for each in settings))
        for name in names
        if settings[0].get(name, ...) != settings[1].get(name, ...)
    ]
    measured = [_metrics(records, row) for records, row in sides]
    common = [name for name in measured[0] if name in measured[1]]
    return Comparison(
        (_name(sides[0][1]), _name(sides[1][1])),
        tuple((name, one, other) for name, one, other in differing),
        tuple((name, measured[0][name], measured[1][name]) for name in common),
        _verdict(sides),
    )


def _best(records: Records) -> pd.Series:
    from hbpr.errors import ConfigError

    best = records.best()
    if best is None:
        raise ConfigError(f"{records.title}: no run has a value of {records.metric}")
    return best


def _name(row: pd.Series) -> str:
    return f"{row['experiment']}: {row['run']} of {row['study']}"


def _settings(records: Records, row: pd.Series) -> dict[str, Any]:
    trial = records.trials[int(row.name)]  # type: ignore[call-overload]
    study = next(each for each in records.studies if any(own is trial for own in each.trials))
    return all_settings(study, trial)


def _metrics(records: Records, row: pd.Series) -> dict[str, float]:
    trial = records.trials[int(row.name)]  # type: ignore[call-overload]
    found = {records.metric: float(row["value"])}
    run = trial.run
    return found | {
        name: value
        for name, value in sorted((run.metrics if run else {}).items())
        if name != records.metric and not name.startswith("best/")
    }


def _verdict(sides: list[tuple[Records, pd.Series]]) -> str:
    (left, one), (_, other) = sides
    exams = [records.exams[str(row["data"])].key for records, row in sides]
    if exams[0] != exams[1]:
        return f"They do not compare: left {one['data']}, right {other['data']}."
    difference = float(one["value"] - other["value"])
    better = (difference < 0) == left.lower
    who = (
        "equal"
        if not difference
        else "the left one is better"
        if better
        else "the right one is better"
    )
    said = f"{metric_label(left.metric)}: left - right = {difference:+.4f} ({who})."
    finalists = [finalist_of(records, row) for records, row in sides]
    return f"{said} {_how_sure(*finalists)}"


def _how_sure(left: Finalist | None, right: Finalist | None) -> str:
    if left is None or right is None or min(len(left.values), len(right.values)) < 2:
        return "One of them has one seed only, so chance is part of the difference."
    common = sorted(seed for seed in set(left.seeds) & set(right.seeds) if seed >= 0)
    if len(common) < 2:
        p = welch(left.values, right.values)
        return f"Welch's t-test over {len(left.values)} and {len(right.values)} seeds: p = {p:.2g}."
    gaps = [
        left.values[left.seeds.index(seed)] - right.values[right.seeds.index(seed)]
        for seed in common
    ]
    if len(set(gaps)) == 1:
        return f"Over {len(common)} seeds that both have the difference is always {gaps[0]:+.4f}."
    from scipy.stats import ttest_1samp

    found = ttest_1samp(gaps, 0.0)
    low, high = found.confidence_interval(0.95)
    return (
        f"Paired over {len(common)} seeds that both have: {sum(gaps) / len(gaps):+.4f} "
        f"(95 % {low:+.4f} to {high:+.4f}, paired t-test, p = {found.pvalue:.2g})."
    )
