"""Which column of a table has which role: by its name, or where that says nothing by its values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hbpr.data.guess.form import ColumnSample, Sample
from hbpr.errors import DataError

#: Names of each role, small letters and digits alone, the surest first; an id may follow.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": (
        *("user", "uid", "customer", "visitor", "member", "client", "account", "reviewer"),
        *("listener", "reader", "buyer", "person", "patient", "student", "player", "session"),
    ),
    "item": (
        *("item", "iid", "product", "movie", "film", "book", "song", "track", "parentasin", "asin"),
        *("isbn", "stockcode", "sku", "artist", "article", "video", "game", "recipe", "business"),
        *("restaurant", "course", "news", "ad", "content", "good", "title"),
    ),
    "time": (
        *("timestamp", "time", "ts", "unixtime", "unixreviewtime", "datetime", "eventtime"),
        *("createdat", "date", "invoicedate", "orderdate", "reviewdate", "day", "at", "when"),
    ),
    "value": ("rating", "ratings", "stars", "score", "overall", "value", "grade", "liked", "like"),
    "event": (
        *("event", "eventtype", "action", "behavior", "behaviour", "interaction", "activity"),
        *("behaviortype", "type", "kind"),
    ),
}
#: Unix seconds, and milliseconds, of the years 1990 to 2100.
_SECONDS: Final = (631_152_000.0, 4_102_444_800.0)
#: Values that a rating or an event has at most.
_MOST_EVENTS: Final = 50


@dataclass(frozen=True)
class Roles:
    """The columns by role, and why; None: there is none.

    Attributes:
        user: Of the user ids.
        item: Of the item ids.
        value: Of a number that says how much the user liked it.
        event: Of what the user did.
        time: Of when.
        why: The reason by role, in words.
    """

    user: str
    item: str
    value: str | None
    event: str | None
    time: str | None
    why: Mapping[str, str]


def guess_roles(sample: Sample, *, user: str | None = None, item: str | None = None) -> Roles:
    """Find the role of each column.

    Args:
        sample: The table's first rows.
        user: The column of the user ids, where it is known.
        item: The column of the item ids, where it is known.

    Raises:
        DataError: No column looks like one of users or of items, or one that is named is not there.
    """
    found: dict[str, str] = {}
    why: dict[str, str] = {}
    for role, named in (("user", user), ("item", item)):
        if named is not None:
            _check_there(sample, named)
            found[role], why[role] = named, "named on the command line"
    for role, fits in _FITS.items():
        if role in found or (role == "event" and "value" in found):
            continue
        name = _by_name(sample, role, fits, taken=set(found.values()))
        if name is not None:
            found[role], why[role] = name, "by its name"
    _by_values(sample, found, why)
    for role in ("user", "item"):
        if role not in found:
            raise DataError(
                f"{', '.join(sample.paths)}: no column looks like the ids of {role}s; name it with "
                f"--{role} COLUMN. The columns are {', '.join(map(repr, sample.columns))}"
            )
    optional = {role: found.get(role) for role in ("value", "event", "time")}
    return Roles(found["user"], found["item"], **optional, why=why)


def with_role_names(sample: Sample, roles: Roles) -> tuple[Sample, Roles]:
    """Return a table without a header with the names of its roles in place of numbers."""
    if sample.named:
        return sample, roles
    fields = ("user", "item", "value", "event", "time")
    role_of = {getattr(roles, role): role for role in fields if getattr(roles, role) is not None}
    columns = {
        role_of.get(name, name): replace(column, name=role_of.get(name, name))
        for name, column in sample.columns.items()
    }
    named = replace(sample, columns=columns, form=replace(sample.form, columns=tuple(columns)))
    found = {role: role if role in role_of.values() else None for role in fields}
    optional = {role: found[role] for role in fields[2:]}
    return named, Roles("user", "item", **optional, why=roles.why)


def _check_there(sample: Sample, name: str) -> None:
    if name not in sample.columns:
        raise DataError(
            f"{', '.join(sample.paths)}: there is no column {name!r}; the columns are "
            f"{', '.join(map(repr, sample.columns))}"
        )


def _is_id(column: ColumnSample) -> bool:
    return column.n_distinct > 1


def _is_time(column: ColumnSample) -> bool:
    if column.times is None or column.n_distinct < 2:
        return False
    if column.dates:
        return True
    known = column.times[~np.isnan(column.times)]
    low, high = float(known.min()), float(known.max())
    return any(low >= a * scale and high <= b * scale for scale in (1, 1000) for a, b in [_SECONDS])


def _is_named_time(column: ColumnSample) -> bool:
    return column.times is not None and column.n_distinct > 1


def _is_value(column: ColumnSample) -> bool:
    return column.numbers is not None and column.n_distinct > 1 and not column.dates


def _is_event(column: ColumnSample) -> bool:
    return 1 < column.n_distinct <= _MOST_EVENTS


#: What a column of a role must hold, in the order in which roles are given away.
_FITS: Final[Mapping[str, Callable[[ColumnSample], bool]]] = {
    "user": _is_id,
    "item": _is_id,
    "time": _is_named_time,
    "value": _is_value,
    "event": _is_event,
}


def _by_name(
    sample: Sample, role: str, fits: Callable[[ColumnSample], bool], taken: set[str]
) -> str | None:
    """Return the column whose name is the surest of a role."""
    best: tuple[int, str] | None = None
    for name, column in sample.columns.items():
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        heads = (plain, re.sub(r"(id|no|number|key|code|hash|idx|index)$", "", plain))
        rank = next((k for k, known in enumerate(_NAMES[role]) if known in heads), None)
        if rank is None or name in taken or not fits(column):
            continue
        best = min(best, (rank, name)) if best else (rank, name)
    return best[1] if best else None


def _by_values(sample: Sample, found: dict[str, str], why: dict[str, str]) -> None:
    """Give what names left open to columns whose values fit, from the left."""
    free = [column for name, column in sample.columns.items() if name not in found.values()]
    for role, fits, reason in (
        ("time", _is_time, "dates, or seconds since 1970"),
        ("user", _repeats, "the first column whose values come again and again"),
        ("item", _repeats, "the next column whose values come again and again"),
        ("value", _is_scale, "a few numbers in order, like a rating"),
    ):
        if role in found or (role == "value" and ("event" in found or sample.named)):
            continue
        for column in free:
            if column.name not in found.values() and fits(column):
                found[role], why[role] = column.name, reason
                break


def _repeats(column: ColumnSample) -> bool:
    """Whether values are ids that come again: neither fractions nor a handful of labels."""
    fractions = column.numbers is not None and not column.whole
    n_known = int((column.codes >= 0).sum())
    return (
        not fractions
        and not _is_time(column)
        and min(10, n_known // 4) < column.n_distinct < max(0.9 * n_known, 3)
    )


def _is_scale(column: ColumnSample) -> bool:
    if column.numbers is None or not 2 <= column.n_distinct <= 21:
        return False
    known = column.numbers[~np.isnan(column.numbers)]
    return bool(known.min() >= -10 and known.max() <= 100)
