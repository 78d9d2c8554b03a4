"""What a dataset is like: users, items, density, degrees, time span, and what was left out."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.data.assemble import Assembled

#: Quantiles of the positives of a user or an item.
_QUANTILES: Final = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
#: Times are taken for Unix seconds between these years.
_YEARS: Final = (1971, 2200)
_N_BARS: Final = 24


@dataclass(frozen=True)
class Description:
    """A dataset in figures; ``str`` gives the lines that `hbpr data describe` prints.

    Attributes:
        name: Name of the dataset.
        n_users: Users, those with features only included.
        n_items: Items, the same.
        n_positives: Distinct positive pairs.
        n_negatives: Distinct pairs that are observed negatives.
        n_pages: Pages that were shown; None: not known.
        user_features: Columns that describe users.
        item_features: Columns that describe items.
        user_degrees: (n_users,) positives of each user.
        item_degrees: (n_items,) positives of each item.
        times: (n_positives,) time of each positive; None: not known.
        left_out: Rows that did not become a pair of their own, by reason.
    """

    name: str
    n_users: int
    n_items: int
    n_positives: int
    n_negatives: int
    n_pages: int | None
    user_features: int
    item_features: int
    user_degrees: NDArray[np.int64]
    item_degrees: NDArray[np.int64]
    times: NDArray[np.float64] | None
    left_out: Mapping[str, int]

    @property
    def density(self) -> float:
        """Share of all pairs of a user and an item that are positive."""
        return self.n_positives / max(1, self.n_users * self.n_items)

    def rows(self) -> list[tuple[str, str]]:
        """Return what there is to say, as names and texts."""
        rows = [
            ("users", f"{self.n_users:,}"),
            ("items", f"{self.n_items:,}"),
            ("positives", f"{self.n_positives:,} (density {self.density:.3%})"),
            ("observed negatives", f"{self.n_negatives:,}"),
        ]
        if self.n_pages is not None:
            rows.append(("pages", f"{self.n_pages:,}"))
        for side, degrees in (("user", self.user_degrees), ("item", self.item_degrees)):
            rows.append(
                (
                    f"positives of a {side}" if side == "user" else "positives of an item",
                    _quantiles(degrees),
                )
            )
        rows.append(
            ("features", f"{self.user_features:,} of users, {self.item_features:,} of items")
        )
        rows.append(("times", _span(self.times)))
        left_out = ", ".join(f"{n:,} {reason}" for reason, n in self.left_out.items())
        rows.append(("left out", left_out or "none"))
        return rows

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join([self.name, *(f"  {name:<{width}}  {text}" for name, text in rows)])

    def to_html(self) -> str:
        """Return a page of its own with the figures and small plots."""
        lines = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self.rows()
        )
        plots = [
            _plot(
                "positives of a user", np.log10(self.user_degrees[self.user_degrees > 0]), _power
            ),
            _plot(
                "positives of an item", np.log10(self.item_degrees[self.item_degrees > 0]), _power
            ),
        ]
        if self.times is not None and len(self.times):
            plots.append(_plot("positives over time", self.times, _moment))
        name = html.escape(self.name)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
            "<style>body{font:15px system-ui;margin:2em}th{text-align:left;padding-right:1.5em}"
            "figure{display:inline-block;margin:1em 2em 0 0}rect{fill:#4269d0}</style>"
            f"<h1>{name}</h1><table>{lines}</table>{''.join(plots)}</html>\n"
        )


def describe(name: str, whole: Assembled, left_out: Mapping[str, int]) -> Description:
    """Describe a dataset that is numbered."""
    positives = whole.positives
    return Description(
        name,
        n_users=len(whole.user_ids),
        n_items=len(whole.item_ids),
        n_positives=positives.n_pairs,
        n_negatives=whole.negatives.n_pairs,
        n_pages=None if whole.pages is None else len(whole.pages.users),
        user_features=whole.user_features.n_features,
        item_features=whole.item_features.n_features,
        user_degrees=positives.counts,
        item_degrees=np.bincount(positives.items, minlength=positives.n_items),
        times=whole.positive_times,
        left_out=dict(left_out),
    )


def _quantiles(degrees: NDArray[np.int64]) -> str:
    if not len(degrees):
        return "none"
    found = np.quantile(degrees, _QUANTILES)
    names = ("least", "25 %", "median", "75 %", "95 %", "most")
    return ", ".join(f"{name} {value:,.0f}" for name, value in zip(names, found, strict=True))


def _span(times: NDArray[np.float64] | None) -> str:
    if times is None or not len(times):
        return "not known"
    first, last = float(times.min()), float(times.max())
    return f"{_moment(first)} to {_moment(last)}"


def _moment(time: float) -> str:
    low, high = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in _YEARS)
    if not low <= time <= high:
        return f"{time:g}"
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")


def _power(value: float) -> str:
    return f"{10**value:,.0f}"


def _plot(title: str, values: NDArray[Any], shown: Any) -> str:
    """A histogram as inline SVG."""
    if not len(values):
        return ""
    counts, edges = np.histogram(values, bins=_N_BARS)
    top = max(1, int(counts.max()))
    bars = "".join(
        f'<rect x="{k * 12}" y="{80 - n / top * 80:.1f}" width="11" height="{n / top * 80:.1f}"/>'
        for k, n in enumerate(counts.tolist())
    )
    return (
        f'<figure><svg width="{_N_BARS * 12}" height="80" role="img">{bars}</svg>'
        f"<figcaption>{title}: {shown(float(edges[0]))} to {shown(float(edges[-1]))}"
        "</figcaption></figure>"
    )
