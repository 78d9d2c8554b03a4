"""What follows from the roles: what is a positive, how the rows are parted, who is left out."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.data.guess.columns import Roles
from hbpr.data.guess.form import ColumnSample, Sample

#: Words of events that are a choice, by how much they say, and of those that are a refusal.
_CHOICES: Final = (
    r"purchase|buy|bought|order|transaction|checkout|addtocart|cart|subscribe|install|borrow|loan",
    r"like|love|favou?rite|wish|save|bookmark|share|finish|complete|watch|play|listen|download",
    r"click|open|read|visit|view|impression|show",
)
_REFUSALS: Final = (
    r"dislike|skip|not_?interested|remove|hide|block|unlike|return|cancel|refund"
    r"|(?<![a-z])un[_-]?(subscribe|install|follow|save|favou?rite|bookmark)"
)
_TRUE: Final = frozenset({"1", "true", "yes"})
_FALSE: Final = frozenset({"0", "-1", "false", "no"})
#: Share of rows that may be positives by their value, and that must stay.
_MOST_POSITIVE: Final = 0.65
_KEPT: Final = 0.9
_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Proposal:
    """What a study file says of a table beside its columns.

    Attributes:
        threshold: Value at or above which a row is a positive; None: no column of values.
        positive_events: Events that make a positive.
        negative_events: Events that make an observed negative.
        split: Kind of split.
        minimum: Positives that a user and an item have at least.
        has_negatives: Whether some rows are observed negatives.
        n_users: Users of the rows that were looked at.
        n_items: Items of them.
        why: Reasons, by ``meaning``, ``split`` and ``minimum``.
    """

    threshold: float | None
    positive_events: tuple[str, ...]
    negative_events: tuple[str, ...]
    split: str
    minimum: int
    has_negatives: bool
    n_users: int
    n_items: int
    why: dict[str, str]


def propose(sample: Sample, roles: Roles) -> Proposal:
    """Say what rows mean, how they are parted, and which users and items are too rare."""
    users, items = sample.columns[roles.user], sample.columns[roles.item]
    positive = np.ones(sample.n_rows, bool)
    threshold, liked, refused = None, tuple[str, ...](), tuple[str, ...]()
    why = {"meaning": "every row is a positive: no column says more"}
    negative = np.zeros(sample.n_rows, bool)
    if roles.value is not None:
        threshold, why["meaning"] = _threshold(sample.columns[roles.value])
        positive = np.nan_to_num(_numbers(sample.columns[roles.value]), nan=-np.inf) >= threshold
        negative = ~positive
    elif roles.event is not None:
        liked, refused, why["meaning"] = _events(sample.columns[roles.event])
        positive = _is_one_of(sample.columns[roles.event], liked)
        negative = _is_one_of(sample.columns[roles.event], refused)
    known = positive & (users.codes >= 0) & (items.codes >= 0)
    pairs = np.unique(np.stack([users.codes[known], items.codes[known]]), axis=1)
    minimum, why["minimum"] = _minimum(pairs)
    times = sample.columns[roles.time].times if roles.time is not None else None
    split, why["split"] = _split(users.codes[known], None if times is None else times[known])
    return Proposal(
        threshold,
        liked,
        refused,
        split,
        minimum,
        bool(negative.any()),
        users.n_distinct,
        items.n_distinct,
        why,
    )


def _numbers(column: ColumnSample) -> NDArray[np.float64]:
    assert column.numbers is not None  # or it would have no value's role
    return column.numbers


def _threshold(column: ColumnSample) -> tuple[float, str]:
    """Return the value from which on rows are positives, and why."""
    numbers = _numbers(column)
    known = numbers[~np.isnan(numbers)]
    values, counts = np.unique(known, return_counts=True)
    if len(values) > 100:
        middle = float(np.median(known))
        return middle, f"half of the rows have {middle:g} or more"
    shares = counts[::-1].cumsum()[::-1] / counts.sum()  # of each value and what is above
    fits = np.flatnonzero(shares <= _MOST_POSITIVE)
    k = max(1, int(fits[0])) if len(fits) else len(values) - 1
    shown = ", ".join(
        f"{value:g}: {count / len(known):.0%}"
        for value, count in list(zip(values, counts, strict=True))[:12]
    )
    return float(values[k]), f"{shares[k]:.0%} of the rows are positives then ({shown})"


def _events(column: ColumnSample) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the events that are a choice and those that are a refusal, and why."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=column.n_distinct)
    shown = ", ".join(f"{text}: {n:,}" for text, n in zip(column.texts, counts, strict=True))
    shown = shown if len(shown) <= 300 else f"{shown[:300]} ..."
    truths = [text for text in column.texts if text.lower() in _TRUE]
    if truths and all(text.lower() in _TRUE | _FALSE for text in column.texts):
        return tuple(truths), tuple(t for t in column.texts if t not in truths), shown
    refused = tuple(text for text in column.texts if re.search(_REFUSALS, text.lower()))
    rest = [text for text in column.texts if text not in refused]
    for words in _CHOICES:
        liked = tuple(t for t in rest if re.search(words, t.lower().replace("_", "")))
        if liked:
            return liked, refused, f"{shown}; the others are left out"
    return tuple(rest), refused, f"{shown}; no word says which is a choice: strike what is none"


def _is_one_of(column: ColumnSample, texts: tuple[str, ...]) -> NDArray[np.bool_]:
    chosen = np.array([*(text in texts for text in column.texts), False])  # the last place is -1's
    return chosen[column.codes]


def _minimum(pairs: NDArray[np.int32]) -> tuple[int, str]:
    """Return the highest of a few minima that leaves most positives, and why."""
    n = pairs.shape[1]
    for least in (5, 3, 2):
        kept = _core(pairs, least)
        share = kept.shape[1] / max(n, 1)
        if share >= _KEPT:
            users, items = (len(np.unique(side)) for side in kept)
            left = f"{users:,} users and {items:,} items stay"
            return least, f"{share:.0%} of the positives, {left}"
    return 1, "most users or items are rare: nobody is left out"


def _core(pairs: NDArray[np.int32], least: int) -> NDArray[np.int32]:
    """Drop rare items, then rare users, as ``data.table`` does."""
    for side in (1, 0):
        counts = np.bincount(pairs[side]) if pairs.shape[1] else np.zeros(1, int)
        pairs = pairs[:, counts[pairs[side]] >= least]
    return pairs


def _split(users: NDArray[np.int32], times: NDArray[np.float64] | None) -> tuple[str, str]:
    """Return the kind of split, and why."""
    if times is None:
        return "random", "there is no time: each user's positives are parted at random"
    known = ~np.isnan(times)
    users, times = users[known], times[known]
    if len(times) < 2 or times.max() - times.min() < 2 * _day(times):
        return "random", "all rows are of one day: each user's positives are parted at random"
    late = times >= np.quantile(times, 0.9)
    late_users = np.unique(users[late])
    share = float(np.isin(late_users, users[~late]).mean())
    if share >= 0.5:
        return "temporal", (
            f"by time, as it will be used: {share:.0%} of the users of the last tenth were there "
            "before"
        )
    return "leave_one_out", (
        f"each user's latest is test: only {share:.0%} of the users of the last tenth were there "
        "before, so that a moment would part users, not times"
    )


def _day(times: NDArray[np.float64]) -> float:
    """Return a day in the unit of the times: milliseconds, seconds, or numbers of another kind."""
    top = float(times.max())
    return 1000 * _DAY if top > 1e11 else _DAY if top > 1e8 else 0.0
