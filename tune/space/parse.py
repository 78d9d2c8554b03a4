"""Reading a search space: which settings can be searched, and in which order they are drawn."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hbpr.errors import SpaceError
from hbpr.settings.kinds import until_a_kind_is_added
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import known_keys
from tune.space.dimensions import Dimension
from tune.space.domains import same
from tune.space.exam import is_exam
from tune.space.parse_dimension import DIMENSION_KEYS, parse_dimension
from tune.space.words import nearest, refuse

#: Settings that are the study's own, not a trial's.
_NOT_SEARCHABLE: Final = ("mlflow.", "training.monitor")


def parse_dimensions(raw: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Read the dimensions of a space, parents before those that depend on them.

    Args:
        raw: As `tune.space.space.Space.parse` takes it.

    Raises:
        SpaceError: The message starts with the dimension's key.
    """
    if not raw:
        raise SpaceError("the search space is empty: name at least one setting to search")
    dimensions = {}
    for key, value in raw.items():
        _check_key(key, value)
        dimensions[key] = parse_dimension(key, value)
        _check_sections(dimensions[key])
    for dimension in dimensions.values():
        _check_apart(dimension, dimensions)
    dimensions = {key: _on_whole_choices(d, dimensions) for key, d in dimensions.items()}
    for dimension in dimensions.values():
        _check_conditions(dimension, dimensions)
    return _parents_first(dimensions)


@until_a_kind_is_added
def searchable_keys() -> tuple[str, ...]:
    """Return every dotted key that a new space may name, in the schema's order."""
    return tuple(key for key in _readable_keys() if not is_exam(key))


@until_a_kind_is_added
def _readable_keys() -> tuple[str, ...]:
    """Return these, and those of studies from before the exam could not be searched."""
    keys = known_keys(TrialSettings)
    leaves = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    return tuple(key for key in leaves if not key.startswith(_NOT_SEARCHABLE))


def _check_key(key: object, value: object) -> None:
    """Refuse keys that are no searchable setting."""
    if not isinstance(key, str):
        raise SpaceError(f"{key!r}: a dimension's key must be the dotted key of a setting")
    if key in _readable_keys():
        return
    if key.startswith(_NOT_SEARCHABLE):
        raise refuse(key, "not searchable: it belongs to the study, not to a trial.")
    below = [known for known in _readable_keys() if known.startswith(f"{key}.")]
    if below and isinstance(value, Mapping) and value and DIMENSION_KEYS.isdisjoint(value):
        raise refuse(
            key,
            f"a section has choices, [{{...}}, {{...}}]; for dimensions of its settings write "
            f"dotted keys such as {key}.{next(iter(value))}.",
        )
    if below:
        return
    raise refuse(key, f"no such setting{nearest(key, searchable_keys())}")


def _check_sections(dimension: Dimension) -> None:
    """Refuse choices of a section that name none of its settings, or one that is not a trial's."""
    key = dimension.key
    if key in _readable_keys():
        return
    below = next(known for known in _readable_keys() if known.startswith(f"{key}."))
    if not dimension.is_section:
        raise refuse(
            key,
            f"the choices of a section are mappings of its settings, [{{...}}, {{...}}]; to search "
            f"one setting write a dotted key such as {below}.",
        )
    for value in dimension.domain.probes():
        for name, inner in dimension.named(value).items():
            if inner == {}:
                raise refuse(key, f"a choice must name a setting of the section, got {value!r}.")
            if name.startswith(_NOT_SEARCHABLE):
                raise refuse(
                    key, f"{name} is not searchable: it belongs to the study, not a trial."
                )


def _check_apart(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> None:
    """Refuse a dimension inside of a section whose choices are searched too."""
    for above in dimensions:
        if dimension.key.startswith(f"{above}."):
            raise refuse(
                dimension.key,
                f"the section {above} is searched too, and both would set it. Name it in the "
                f"choices of {above}, or search dotted settings only.",
            )


def _on_whole_choices(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> Dimension:
    """Return a dimension whose conditions on a searched section's settings are on its choices."""
    conditions = []
    for key, allowed in dimension.when:
        above = next((d for name, d in dimensions.items() if key.startswith(f"{name}.")), None)
        if above is None:
            conditions.append((key, allowed))
            continue
        choices = []
        for choice in above.domain.probes():
            named = above.named(choice)
            if key not in named:
                raise refuse(
                    dimension.key,
                    f"when {key}: the choice {choice!r} of {above.key} does not name it. "
                    f"Name it in every choice, or write `when` with whole choices of {above.key}.",
                )
            if any(same(named[key], value) for value in allowed):
                choices.append(choice)
        for value in allowed:
            if not any(same(above.named(choice)[key], value) for choice in choices):
                raise refuse(
                    dimension.key, f"when {key}: no choice of {above.key} has the value {value!r}."
                )
        conditions.append((above.key, tuple(choices)))
    return replace(dimension, when=tuple(conditions))


def _check_conditions(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> None:
    """Refuse conditions on unknown settings, and on values that a dimension never takes."""
    for key, allowed in dimension.when:
        if key not in known_keys(TrialSettings):
            raise refuse(
                dimension.key,
                f"when {key}: no such setting{nearest(key, known_keys(TrialSettings))}",
            )
        if key not in dimensions and _is_section(key):
            raise refuse(
                dimension.key,
                f"when {key}: a section that is not searched; name one of its settings, such as "
                f"{next(k for k in known_keys(TrialSettings) if k.startswith(f'{key}.'))}.",
            )
        if key in dimensions:
            for value in allowed:
                if not dimensions[key].domain.contains(value):
                    raise refuse(
                        dimension.key,
                        f"when {key}: that dimension never takes the value {value!r}.",
                    )


def _is_section(key: str) -> bool:
    return any(known.startswith(f"{key}.") for known in known_keys(TrialSettings))


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
