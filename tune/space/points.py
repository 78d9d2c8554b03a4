"""Points that a study runs first, and their checks against the space."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hbpr.errors import SpaceError
from hbpr.settings.models import TrialSettings
from tune.space.dimensions import Dimension, setting_of
from tune.space.domains import same
from tune.space.space import Space
from tune.space.words import nearest, refuse

PLACE: Final = "start_with"
_WORDS: Final = ("file", "best")
#: Entries that are a word alone.
_NAMES: Final = ("defaults", "portfolio")


def written_points(entries: Sequence[Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the entries of ``start_with`` that are points, each with its place in words.

    Raises:
        SpaceError: An entry has another form.
    """
    points = []
    for i, entry in enumerate(entries):
        place = f"{PLACE}: entry {i + 1}"
        if entry in _NAMES:
            continue
        if not isinstance(entry, Mapping) or not entry:
            names = " or ".join(_NAMES)
            raise SpaceError(f"{place}: expected {names}, or a mapping, got {entry!r}")
        if len(entry) == 1 and next(iter(entry)) in _WORDS:
            _check_word(place, *next(iter(entry.items())))
            continue
        points.append((place, dict(entry)))
    return points


def _check_word(place: str, word: str, value: Any) -> None:
    if word == "file" and isinstance(value, str) and value:
        return
    best = value if word == "best" and isinstance(value, Mapping) else {}
    count = best.get("k", 1)
    whole = isinstance(count, int) and not isinstance(count, bool) and count >= 1
    if isinstance(best.get("study"), str) and whole and best.keys() <= {"study", "k"}:
        return
    form = "{file: CONFIG}"
    if word == "best":
        form = "{best: {study: FOLDER or mlflow:EXPERIMENT, k: 3}}"
    raise SpaceError(f"{place}: expected {form}, got {word}: {value!r}")


def check_point(space: Space, point: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Check a point that may leave dimensions out.

    Args:
        space: What `tune.space.check.check_space` returned.
        point: Dotted key -> value.
        place: Where it was written.

    Returns:
        The point with the choices that its values depend on filled in, parents first.

    Raises:
        SpaceError: A key is not searched, a value is not in its dimension, conditions or the
            constraints rule the point out.
    """
    domains = {d.key: d.domain for d in space.dimensions}
    whole: dict[str, Any] = {}
    for key, value in point.items():
        if key not in domains:
            raise SpaceError(f"{place}: {key} is not searched{nearest(key, domains)}")
        if not domains[key].contains(value):
            raise refuse(f"{place}: {key}", f"the dimension never takes the value {value!r}.")
    for key in point:
        for parent, value in space.required(key).items():
            whole.setdefault(parent, point.get(parent, value))
    whole |= point
    inactive = point.keys() - space.active(whole).keys()
    if inactive:
        raise SpaceError(f"{place}: {min(inactive)} is not active beside the other values {whole}")
    if not space.allowed_points(random.Random(0), 1, fixed=whole):
        raise SpaceError(f"{place}: no point beside {whole} meets the constraints")
    return {d.key: whole[d.key] for d in space.dimensions if d.key in whole}


def settings_point(space: Space, settings: TrialSettings, place: str) -> dict[str, Any]:
    """Return the searched part of some settings; values outside of the space are left to be drawn.

    Raises:
        SpaceError: None of them is inside.
    """
    whole = {dimension.key: value_in(settings, dimension) for dimension in space.dimensions}
    point = space.active(space.inside(whole))
    if not point:
        shown = ", ".join(f"{key}={value!r}" for key, value in whole.items())
        raise SpaceError(f"{place}: the space contains none of its values {shown}")
    return check_point(space, point, place)


def value_in(settings: TrialSettings, dimension: Dimension) -> Any:
    """Return the value of a dimension that settings have, be it inside of the dimension or not.

    Of a section it is the choice whose settings are as they are there; of several, the one that
    names most.
    """
    if not dimension.is_section:
        return plain(setting_of(settings, dimension.key))
    had = {key: plain(setting_of(settings, key)) for key in dimension.settings}
    there = []
    for value in dimension.domain.probes():
        named = dimension.named(value)
        if all(same(had[key], inner) for key, inner in named.items()):
            there.append((len(named), value))
    if there:
        return max(there, key=lambda each: each[0])[1]
    return {key.removeprefix(f"{dimension.key}."): value for key, value in sorted(had.items())}


def plain(value: Any) -> Any:
    """Return a setting's value as a dimension holds it: lists, not tuples."""
    return [plain(each) for each in value] if isinstance(value, tuple) else value
