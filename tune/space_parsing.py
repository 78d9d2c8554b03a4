"""Reading a search space: which settings can be searched, and in which order they are drawn."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from hbpr.errors import SpaceError
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import known_keys
from tune.dimensions import DIMENSION_KEYS, Dimension, nearest, parse_dimension, refuse

#: Settings that are the study's own, not a trial's.
_NOT_SEARCHABLE: Final = ("mlflow.", "training.monitor")


def parse_dimensions(raw: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Read the dimensions of a space, parents before those that depend on them.

    Args:
        raw: As `tune.space.Space.parse` takes it.

    Raises:
        SpaceError: The message starts with the dimension's key.
    """
    if not raw:
        raise SpaceError("the search space is empty: name at least one setting to search")
    dimensions = {}
    for key, value in raw.items():
        _check_key(key, value)
        dimensions[key] = parse_dimension(key, value)
    for dimension in dimensions.values():
        _check_conditions(dimension, dimensions)
    return _parents_first(dimensions)


@cache
def searchable_keys() -> tuple[str, ...]:
    """Return every dotted key that a space may name, in the schema's order."""
    keys = known_keys(TrialSettings)
    leaves = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    return tuple(key for key in leaves if not key.startswith(_NOT_SEARCHABLE))


def _check_key(key: object, value: object) -> None:
    """Refuse keys that are no searchable setting."""
    if not isinstance(key, str):
        raise SpaceError(f"{key!r}: a dimension's key must be the dotted key of a setting")
    if key in searchable_keys():
        return
    if key.startswith(_NOT_SEARCHABLE):
        raise refuse(key, "not searchable: it belongs to the study, not to a trial.")
    below = [known for known in searchable_keys() if known.startswith(f"{key}.")]
    if below:
        written = f"{key}.{next(iter(value))}" if isinstance(value, dict) and value else below[0]
        if not (isinstance(value, dict) and DIMENSION_KEYS.isdisjoint(value)):
            written = below[0]
        raise refuse(key, f"a section cannot be searched; write dotted keys such as {written}.")
    raise refuse(key, f"no such setting{nearest(key, searchable_keys())}")


def _check_conditions(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> None:
    """Refuse conditions on unknown settings, and on values that a dimension never takes."""
    for key, allowed in dimension.when:
        if key not in known_keys(TrialSettings):
            raise refuse(
                dimension.key,
                f"when {key}: no such setting{nearest(key, known_keys(TrialSettings))}",
            )
        if key in dimensions:
            for value in allowed:
                if not dimensions[key].domain.contains(value):
                    raise refuse(
                        dimension.key,
                        f"when {key}: that dimension never takes the value {value!r}.",
                    )


def _parents_first(dimensions: Mapping[str, Dimension]) -> tuple[Dimension, ...]:
    """Order dimensions so that conditions look back only, keeping the written order otherwise."""
    placed: dict[str, Dimension] = {}

    def place(key: str, below: tuple[str, ...]) -> None:
        if key in below:
            ring = " -> ".join((*below[below.index(key) :], key))
            raise refuse(key, f"conditions form a ring: {ring}. Remove one `when`.")
        for parent, _ in dimensions[key].when:
            if parent in dimensions and parent not in placed:
                place(parent, (*below, key))
        placed[key] = dimensions[key]

    for key in dimensions:
        if key not in placed:
            place(key, ())
    return tuple(placed.values())
