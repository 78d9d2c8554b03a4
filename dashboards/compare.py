"""Two experiments or studies side by side, where they compare, and how sure it is."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from dashboards.answer import finalist_of, welch
from dashboards.records import Records
from dashboards.scales import level_text
from dashboards.words import metric_label, p_words
from hbpr.errors import ConfigError
from hbpr.tracking.findings import Finalist


@dataclass(frozen=True)
class Comparison:
    """The best run of each side on the same data.

    Attributes:
        data: Name of the data and split that both were judged on.
        names: What the two runs are.
        settings: Setting, value on the left, value on the right, where they differ.
        metrics: Metric and the two last values, where both have it.
        verdict: Which is better and how sure that is.
    """

    data: str
    names: tuple[str, str]
    settings: tuple[tuple[str, str, str], ...]
    metrics: tuple[tuple[str, float, float], ...]
    verdict: str

    @property
    def metric_rows(self) -> tuple[tuple[str, str, str], ...]:
        """The metrics as people read them."""
        return tuple((name, f"{one:.4f}", f"{other:.4f}") for name, one, other in self.metrics)


@dataclass(frozen=True)
class Comparisons:
    """Two sides, compared on each data and split that both have runs of.

    Attributes:
        found: One for each of these, that of the most runs first; empty where nothing compares.
        apart: What each side has that the other was not judged on, a sentence each.
    """

    found: tuple[Comparison, ...]
    apart: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        """Show them in notebooks."""
        from dashboards.html import render

        return render("comparison.html", found=self.found, apart=self.apart)


class _Side(NamedTuple):
    """The best run of one side in one group."""

    records: Records
    row: pd.Series

    @property
    def place(self) -> int:
        place: Any = self.row.name
        return int(place)

    @property
    def name(self) -> str:
        return f"{self.row['experiment']}: {self.row['run']} of {self.row['study']}"

    def metrics(self) -> dict[str, float]:
        found = {self.records.metric: float(self.row["value"])}
        run = self.records.trials[self.place].run
        return found | {
            name: value
            for name, value in sorted((run.metrics if run else {}).items())
            if name != self.records.metric and not name.startswith("best/")
        }


def compare(left: Records, right: Records) -> Comparisons:
    """Compare the best runs of two records, of one metric, in each group that both have runs of.

    Raises:
        ConfigError: A side has no run with a value.
    """
    sides = [_best_by_exam(records) for records in (left, right)]
    common = [key for key in sides[0] if key in sides[1]]
    found = tuple(_comparison(sides[0][key], sides[1][key]) for key in common)
    apart = [
        f"Only on the {word}: {', '.join(str(side.row['data']) for side in rest)}."
        for word, own in zip(("left", "right"), sides, strict=True)
        if (rest := [side for key, side in own.items() if key not in common])
    ]
    if not found:
        apart.insert(0, "They do not compare: no run of one was judged on what the other was.")
    return Comparisons(found, tuple(apart))


def _best_by_exam(records: Records) -> dict[str, _Side]:
    """Return the best run of each group by what it was judged on, the largest group first."""
    found = {
        records.exams[name].key: _Side(records, best)
        for name, rows in records.groups.items()
        if (best := records.best(rows)) is not None
    }
    if not found:
        raise ConfigError(f"{records.title}: no run has a value of {records.metric}")
    return found


def _comparison(left: _Side, right: _Side) -> Comparison:
    settings = [side.records.settings_of(side.place) for side in (left, right)]
    differing = tuple(
        (name, *(level_text(each[name]) if name in each else "not set" for each in settings))
        for name in sorted(settings[0].keys() | settings[1].keys())
        if settings[0].get(name, ...) != settings[1].get(name, ...)
    )
    one, other = left.metrics(), right.metrics()
    return Comparison(
        str(left.row["data"]),
        (left.name, right.name),
        tuple((name, first, second) for name, first, second in differing),
        tuple((name, one[name], other[name]) for name in one if name in other),
        _verdict(left, right),
    )


def _verdict(left: _Side, right: _Side) -> str:
    difference = float(left.row["value"] - right.row["value"])
    better = (difference < 0) == left.records.lower
    who = "equal" if not difference else f"the {'left' if better else 'right'} one is better"
    said = f"{metric_label(left.records.metric)}: left - right = {difference:+.4f} ({who})."
    finalists = [finalist_of(side.records, side.row) for side in (left, right)]
    return f"{said} {_how_sure(*finalists)}"


def _how_sure(left: Finalist | None, right: Finalist | None) -> str:
    if left is None or right is None or min(len(left.values), len(right.values)) < 2:
        return "One of them has one seed only, so chance is part of the difference."
    common = sorted(seed for seed in set(left.seeds) & set(right.seeds) if seed >= 0)
    if len(common) < 2:
        p = welch(left.values, right.values)
        return (
            f"Welch's t-test over {len(left.values)} and {len(right.values)} seeds: {p_words(p)}."
        )
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
        f"Paired over {len(common)} other seeds that both have: {sum(gaps) / len(gaps):+.4f} "
        f"(95 % {low:+.4f} to {high:+.4f}, paired t-test, {p_words(found.pvalue)})."
    )
