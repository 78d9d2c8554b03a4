"""What a row is made of: what was published, what must hold, and what was measured."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hbpr.data.interactions import Interactions
from hbpr.settings.models import TrialSettings

#: Receives one line on what was done, for the person who waits.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """Figures that somebody published.

    Attributes:
        label: The method, in the words of the source.
        values: Figures by metric name, such as ``test/recall_at_20``.
        source: Publication, table and address.
    """

    label: str
    values: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Figures:
    """Test figures of one method, seed by seed.

    Attributes:
        label: The method; unique in its row.
        seeds: Seed of each training; empty for a method without randomness.
        values: Figures by metric name, one for each seed (one in all without randomness).
        split: The split in words.
        fingerprint: SHA-256 of the data and the split, see `Interactions.fingerprint`.
        candidates: What the held-out items were ranked among.
        note: What else a reader needs, such as what validation chose.
        fingerprints: Of each seed, where every seed has a split of its own.
    """

    label: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    split: str
    fingerprint: str
    candidates: str
    note: str = ""
    fingerprints: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        label: str,
        data: Interactions,
        runs: Sequence[Mapping[str, float]],
        *,
        seeds: Sequence[int] = (),
        metrics: Sequence[str],
        note: str = "",
    ) -> Self:
        """Collect the test metrics of several trainings on one dataset.

        Args:
            label: The method.
            data: As it was split, before any refit.
            runs: Test metrics of each training.
            seeds: Their seeds; none for a method without randomness.
            metrics: Names of the metrics to keep.
            note: See `Figures`.
        """
        among = "the whole catalogue without the user's train and validation items"
        if data.unseen:
            among += " and without what the user rated low in them"
        if data.test_candidates is not None:
            among = f"listed items, {data.test_candidates.counts.mean():.3g} a user on average"
        return cls(
            label,
            tuple(seeds),
            {name: tuple(run[name] for run in runs) for name in metrics},
            data.split,
            data.fingerprint,
            among,
            note,
        )

    @classmethod
    def of_splits(
        cls,
        label: str,
        splits: Sequence[Interactions],
        runs: Sequence[Mapping[str, float]],
        *,
        seeds: Sequence[int],
        metrics: Sequence[str],
        note: str = "",
    ) -> Self:
        """Collect the test metrics of trainings that have a split each; see `of`."""
        first = cls.of(label, splits[0], runs, seeds=seeds, metrics=metrics, note=note)
        return dataclasses.replace(
            first,
            split=f"{first.split}; the other seeds alike",
            fingerprints=tuple(split.fingerprint for split in splits),
        )

    def renamed(self, label: str) -> Self:
        """Return the same figures under another label."""
        return dataclasses.replace(self, label=label)

    def mean(self, metric: str) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values[metric])

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over the seeds (n - 1); None for a single figure."""
        values = self.values[metric]
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Band:
    """A bar: the mean of a method's figure lies between two ends.

    Attributes:
        method: Label of the figures.
        metric: Name of the metric.
        low: The least that meets it.
        high: The most that meets it.
        why: Where the ends come from.
    """

    method: str
    metric: str
    low: float = -math.inf
    high: float = math.inf
    why: str = ""

    def holds(self, figures: Mapping[str, Figures]) -> bool:
        """Whether the figures, by label, meet it."""
        return self.low <= figures[self.method].mean(self.metric) <= self.high


@dataclass(frozen=True)
class Order:
    """A bar: one method's mean is above another's, or, with `ties`, not below.

    Attributes:
        higher: Label of the method that must win.
        lower: Label of the other.
        metric: Name of the metric.
        ties: By how much the winner may be behind; 0 asks for a real lead.
        lead: By which share of the other's figure the winner must be above it.
        why: Where the order comes from.
    """

    higher: str
    lower: str
    metric: str
    ties: float = 0.0
    lead: float = 0.0
    why: str = ""

    def holds(self, figures: Mapping[str, Figures]) -> bool:
        """Whether the figures, by label, meet it."""
        lower = figures[self.lower].mean(self.metric)
        ahead = figures[self.higher].mean(self.metric) - lower
        if self.ties:
            return ahead >= -self.ties
        return ahead > 0 and ahead >= self.lead * lower


@dataclass(frozen=True)
class Result:
    """A row, measured.

    Attributes:
        row: The row.
        settings: What it was measured with.
        figures: Each method's figures, ours first.
    """

    row: "Row"
    settings: TrialSettings
    figures: tuple[Figures, ...]

    @property
    def judged(self) -> list[tuple["Band | Order", bool]]:
        """Each bar with whether it is met."""
        by_label = {figures.label: figures for figures in self.figures}
        return [(bar, bar.holds(by_label)) for bar in self.row.bars]


@dataclass(frozen=True)
class Row:
    """One published comparison and how it is measured here.

    Attributes:
        name: Name on the command line, of the settings file and of the report's section.
        title: One line.
        protocol: Markdown: the data, the split and the metrics, ours and theirs, and what differs.
        metrics: Names of the metrics that the tables show.
        published: What was published.
        bars: What must hold.
        measure: Measures from settings, seeds and a function that shows progress.
        n_seeds: Seeds if no other number is asked for.
        plot: Draws a result into a PNG file; None: there is no figure.
    """

    name: str
    title: str
    protocol: str
    metrics: tuple[str, ...]
    published: tuple[Published, ...]
    bars: tuple[Band | Order, ...]
    measure: Callable[[TrialSettings, Sequence[int], Say], tuple[Figures, ...]]
    n_seeds: int = 3
    plot: Callable[[Result, Path], None] | None = None

    def run(self, settings: TrialSettings, seeds: Sequence[int], say: Say) -> Result:
        """Measure it.

        Args:
            settings: Of the row's settings file.
            seeds: At least one; the report's rule is three.
            say: Called with a line after every training.

        Raises:
            DataError: The data are missing or wrong.
            DivergedError: A training met NaN.
        """
        return Result(self, settings, self.measure(settings, seeds, say))
