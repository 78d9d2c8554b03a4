"""A search space beside the settings that are not searched, before anything runs.

Every end of every dimension is tried against them, conditions that look at them are decided, and
the data that trials will need are listed.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hbpr.errors import ConfigError, SpaceError
from hbpr.formats import in_words
from hbpr.settings.kinds import kinds_in
from hbpr.settings.load import with_values
from hbpr.settings.models import MODELS, DataSettings, TrialSettings, read_by_solved
from tune.space.dimensions import Dimension, setting_of
from tune.space.domains import IntRange, same
from tune.space.exam import check_exam
from tune.space.space import MAX_TRIES, Space
from tune.space.words import refuse

#: Allowed points that are tried against the settings; so many of `MAX_TRIES` must be allowed.
_SAMPLE: Final = 64
_MIN_ALLOWED: Final = 5


def check_space(space: Space, base: TrialSettings) -> Space:
    """Try every end of every dimension against the settings, before anything runs.

    Args:
        space: What `Space.parse` returned.
        base: Settings of everything that is not searched.

    Returns:
        The space with conditions and constraints on unsearched settings resolved: dimensions
        that `base` rules out are gone.

    Raises:
        SpaceError: A dimension changes the exam, a value is refused by the settings, or the
            constraints leave next to no points; the message names dimension and value.
    """
    for dimension in space.dimensions:
        check_exam(dimension)
    space = resolved(space, base)
    for dimension in space.dimensions:
        _check_kinds(space, base, dimension)
        _check_read(space, base, dimension)
        first, *inner = dimension.domain.probes()
        for value in (first, *reversed(inner)):
            _try_value(space, base, dimension, value)
        _check_number_kind(base, dimension, _parents(space, base, dimension))
    for end in (0, -1):
        _try_corner(space, base, end, {})
    if space.constraints:
        for values in allowed_sample(space):
            _try_point(base, values)
    return space


def allowed_sample(space: Space, count: int = _SAMPLE) -> list[dict[str, Any]]:
    """Draw points that the constraints allow, the same ones every time.

    Raises:
        SpaceError: Hardly any is allowed.
    """
    allowed = space.allowed_points(random.Random(0), count)
    if len(allowed) < min(_MIN_ALLOWED, count):
        texts = " and ".join(repr(constraint.text) for constraint in space.constraints)
        raise refuse(
            "constraints",
            f"{texts} leave {len(allowed)} of {MAX_TRIES:,} points drawn at random. Narrow the "
            "dimensions, or loosen the constraints.",
        )
    return allowed


def data_points(space: Space, base: TrialSettings) -> list[dict[str, Any]]:
    """List the distinct values of ``data.*`` dimensions that trials can have.

    Args:
        space: The study's.
        base: Settings of everything that is not searched.

    Returns:
        Dicts of dotted key -> value; one empty dict where the data is not searched.

    Raises:
        SpaceError: A ``data.*`` dimension, or one that it depends on, has no finite list of
            values.
    """
    space = resolved(space, base)
    needed: set[str] = set()
    for dimension in space.dimensions:
        if _is_data(dimension.key):
            needed |= {dimension.key, *space.required(dimension.key)}
    part = Space(tuple(d for d in space.dimensions if d.key in needed))
    constraints = (c for c in space.constraints if c.keys & space.settings <= part.settings)
    part = replace(part, constraints=tuple(constraints))
    for dimension in part.dimensions:
        if dimension.domain.points() is None:
            raise refuse(
                dimension.key,
                "dimensions that change the data need a list of values or a step, since each "
                f"dataset is prepared before the study starts, got {dimension.ends}.",
            )
    distinct: list[dict[str, Any]] = []
    for point in part.points():
        values = {key: value for key, value in point.items() if _is_data(key)}
        if values not in distinct and part.allows(point):
            distinct.append(values)
    return distinct


def data_settings(space: Space, base: TrialSettings) -> list[DataSettings]:
    """List the distinct data settings that trials can have; errors as `data_points`."""
    distinct: list[DataSettings] = []
    for values in data_points(space, base):
        data = with_values(base, values).data
        if data not in distinct:
            distinct.append(data)
    return distinct


def largest(space: Space, key: str, base: TrialSettings) -> Any:
    """Return the largest value that a trial can have for a number such as training.n_iter."""
    own = setting_of(base, key)
    values = [] if own is None else [own]
    for dimension in space.dimensions:
        probes = dimension.domain.probes()
        own = [named[key] for value in probes if key in (named := dimension.named(value))]
        if own:
            values = own + (values if dimension.when or len(own) < len(probes) else [])
    return max(values)


def _is_data(key: str) -> bool:
    return key == "data" or key.startswith("data.")


def resolved(space: Space, base: TrialSettings) -> Space:
    """Decide conditions on settings that are not searched; drop what they rule out.

    Raises:
        SpaceError: A condition waits for what its setting cannot be, or no dimension is left.
    """
    searched = space.keys
    kept: list[Dimension] = []
    for dimension in space.dimensions:
        possible, open_conditions = True, []
        for key, allowed in dimension.when:
            if key not in searched:
                for value in allowed:
                    _check_fixed(base, dimension, key, value)
                possible &= any(same(setting_of(base, key), value) for value in allowed)
            elif all(d.key != key for d in kept):
                possible = False
            else:
                open_conditions.append((key, allowed))
        if possible:
            kept.append(replace(dimension, when=tuple(open_conditions)))
    if not kept:
        raise SpaceError("no dimension can be active: every `when` is ruled out by the settings")
    constraints = tuple(constraint.beside(base) for constraint in space.constraints)
    return replace(space, dimensions=tuple(kept), constraints=constraints)


def _try_value(space: Space, base: TrialSettings, dimension: Dimension, value: Any) -> None:
    """Try one value beside the base settings, or else beside both corners of the space.

    A searched key's base setting reaches no trial, so a value that only it refuses is good.
    """
    fixed = {**_parents(space, base, dimension), dimension.key: value}
    try:
        with_values(base, fixed)
    except ConfigError as error:
        own = f"{dimension.key}: "
        if dimension.is_section and str(error).startswith((own, f"{dimension.key}.")):
            raise refuse(
                dimension.key,
                f"the choice {in_words(value)} is refused: {str(error).removeprefix(own)}. "
                "What a choice does not name stays as the file has it.",
            ) from None
        if str(error).startswith(own):
            text = str(error).removeprefix(own)
            shown = "" if "got " in text else f", got {value!r}"
            raise refuse(dimension.key, f"{text}{shown}") from None
        for end in (0, -1):
            _try_corner(space, base, end, fixed)


def _parents(space: Space, base: TrialSettings, dimension: Dimension) -> dict[str, Any]:
    """Return values that a trial with a dimension has: its conditions', and a kind that has it.

    The base's kind of a section reaches no trial where the kind is searched.
    """
    parents = space.required(dimension.key)
    for section, kinds in kinds_in(type(base)):
        place, _, name = dimension.key.rpartition(".")
        key = f"{section}.kind"
        if place == section and name != "kind" and key in space.keys and key not in parents:
            having = kinds.having(name)
            searched = next(each for each in space.dimensions if each.key == key)
            fitting = [kind for kind in searched.domain.probes() if kind in having]
            if setting_of(base, key) not in having and fitting:
                parents = {key: fitting[0], **parents}
    return parents


def _try_corner(space: Space, base: TrialSettings, end: int, fixed: Mapping[str, Any]) -> None:
    """Try the point of all first (0) or all last (-1) values, with some values given."""
    values: dict[str, Any] = {}
    for dimension in space.dimensions:
        if dimension.is_active(values):
            own = dimension.domain.probes()[end]
            values[dimension.key] = fixed.get(dimension.key, own)
    if space.allows(values):
        _try_point(base, values)


def _try_point(base: TrialSettings, values: Mapping[str, Any]) -> None:
    try:
        with_values(base, values)
    except ConfigError as error:
        first, *others = values
        together = ", ".join(f"{key}={values[key]!r}" for key in others)
        beside = f" together with {together}" if together else ""
        raise refuse(first, f"the value {values[first]!r}{beside} is refused: {error}") from None


def _check_fixed(base: TrialSettings, dimension: Dimension, key: str, value: Any) -> None:
    """Refuse a condition that waits for a value which the setting cannot have."""
    try:
        with_values(base, {key: value})
    except ConfigError as error:
        raise refuse(dimension.key, f"when {error}") from None


def _check_kinds(space: Space, base: TrialSettings, dimension: Dimension) -> None:
    """Refuse a setting that trials would get whose section is of a kind without it."""
    for section, kinds in kinds_in(type(base)):
        place, _, name = dimension.key.rpartition(".")
        having = kinds.having(name)
        key = f"{section}.kind"
        if place != section or not having or name == "kind":
            continue
        possible = _possible_kinds(space, base, section, dimension)
        lacking = [
            kind for kind in possible if kind not in having and kinds.class_of({"kind": kind})
        ]
        if lacking:
            wanted = having[0] if len(having) == 1 else f"[{', '.join(having)}]"
            advice = f"Add when: {{{key}: {wanted}}}"
            if key not in space.keys:
                advice = (
                    f"Set {key} to {having[0]}, or search it too and add when: {{{key}: {wanted}}}"
                )
            raise refuse(
                dimension.key,
                f"kind {' and '.join(lacking)} has no such setting, and a trial of it would get "
                f"one. {advice}.",
            )


def _possible_kinds(
    space: Space, base: TrialSettings, section: str, dimension: Dimension | None = None
) -> list[Any]:
    """Return the kinds of a section that trials can have: all, or those that have a dimension."""
    key = f"{section}.kind"
    own = setting_of(base, key)
    for searched in space.dimensions:
        if searched.key not in (key, section):
            continue
        values, needed = searched.domain.probes(), space.conditions(searched.key)
        given = {} if dimension is None else space.conditions(dimension.key)
        values = given.get(searched.key, values)
        shared = {above: needed[above] for above in needed.keys() & given.keys()}
        found = [searched.named(value).get(key, own) for value in values]
        if any(_apart(given[above], wanted) for above, wanted in shared.items()):
            found = [own]  # where the dimension is drawn, the kind is not
        elif searched.key not in given and any(
            above not in given or not _within(given[above], wanted)
            for above, wanted in needed.items()
        ):
            found.append(own)
        return list(dict.fromkeys(found))
    return [own]


def _apart(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return not any(same(a, b) for a in one for b in other)


def _within(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(any(same(a, b) for b in others) for a in some)


def _check_read(space: Space, base: TrialSettings, dimension: Dimension) -> None:
    """Refuse a setting that would be drawn for models that do not look at it."""
    unread = [name for name in dimension.settings if not read_by_solved(name)]
    if not unread:
        return
    possible = _possible_kinds(space, base, "model", dimension)
    solved = [kind for kind in possible if _is_solved(kind)]
    if not solved:
        return
    others = [kind for kind in _possible_kinds(space, base, "model") if not _is_solved(kind)]
    wanted = others[0] if len(others) == 1 else f"[{', '.join(others)}]"
    advice = f"Add when: {{model.kind: {wanted}}}" if others else "Leave it out"
    raise refuse(
        dimension.key,
        f"model.kind {' and '.join(solved)} is solved for and does not look at it, so a search "
        f"would learn from chance. {advice}.",
    )


def _is_solved(kind: Any) -> bool:
    found = MODELS.class_of({"kind": kind})
    return found is not None and found.solved


def most_epochs(space: Space, base: TrialSettings) -> int:
    """Return the most epochs that a trial can train."""
    n_iter = int(largest(space, "training.n_iter", base))
    searched: dict[str, Any] = {}
    if "model.iterations" in space.settings:
        searched = {"iterations": largest(space, "model.iterations", base)}
    epochs = []
    for kind in _possible_kinds(space, base, "model"):
        found = MODELS.class_of({"kind": kind}) or type(base.model)
        own = base.model.model_dump() if type(base.model) is found else {}
        epochs.append(found.epochs({**own, **searched}, n_iter))
    return max(epochs)


def _check_number_kind(base: TrialSettings, dimension: Dimension, parents: dict[str, Any]) -> None:
    """Refuse a range of whole numbers, written without a step, over a setting with fractions."""
    domain = dimension.domain
    if not isinstance(domain, IntRange) or domain.step is not None:
        return
    try:
        with_values(base, {**parents, dimension.key: domain.low + 0.5})
    except ConfigError:
        return
    raise refuse(
        dimension.key,
        f"the setting takes fractions but both ends are whole, got {dimension.ends}. Write "
        f"low: {domain.low}.0 to search fractions too, or add step: 1 for whole numbers only.",
    )
