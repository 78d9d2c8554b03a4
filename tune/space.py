"""A search space: dotted settings with their dimensions, conditions between them, and its points.

A space is define-by-run: dimensions are drawn parents first, and one whose condition does not hold
is left out of the trial, which then keeps the base setting. Constraints refuse points of the space,
which are then never run.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.load import with_values
from hbpr.settings.models import DataSettings, TrialSettings
from hbpr.settings.problems import known_keys
from tune.constraints import Constraint
from tune.dimensions import (
    DIMENSION_KEYS,
    MAX_POINTS,
    Dimension,
    IntRange,
    nearest,
    parse_dimension,
    refuse,
    same,
    setting_of,
)

if TYPE_CHECKING:
    from optuna.trial import Trial

#: Settings that are the study's own, not a trial's.
_NOT_SEARCHABLE = ("mlflow.", "training.monitor")
#: Allowed points that are tried against the settings, out of so many drawn, of which so many must
#: be allowed.
_SAMPLE, _MAX_TRIES, _MIN_ALLOWED = 64, 10_000, 5


@dataclass(frozen=True)
class Space:
    """The dimensions of a study, parents before the dimensions that depend on them.

    `parse` reads it, `check` tries it against the base settings and returns the space that a study
    searches. Plain values throughout, so it can be pickled.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any], constraints: Sequence[str] = ()) -> Self:
        """Read a space from YAML values.

        Args:
            raw: Dotted key of a setting -> list of values, ``{choices: [...]}`` or ``{low, high,
                log, step}``; the mappings may carry ``when: {other.key: value or values}``.
            constraints: Conditions that every trial must meet, see `Constraint`.

        Raises:
            SpaceError: The message starts with the dimension's key, or with ``constraints``.
        """
        if not raw:
            raise SpaceError("the search space is empty: name at least one setting to search")
        dimensions = {}
        for key, value in raw.items():
            _check_key(key, value)
            dimensions[key] = parse_dimension(key, value)
        for dimension in dimensions.values():
            _check_conditions(dimension, dimensions)
        read = tuple(map(Constraint.parse, constraints))
        for constraint in read:
            if constraint.keys.isdisjoint(dimensions):
                raise refuse("constraints", f"{constraint.text!r} names nothing that is searched.")
        return cls(_parents_first(dimensions), read)

    def check(self, base: TrialSettings) -> Self:
        """Try every end of every dimension against the settings, before anything runs.

        Args:
            base: Settings of everything that is not searched.

        Returns:
            The space with conditions and constraints on unsearched settings resolved: dimensions
            that `base` rules out are gone.

        Raises:
            SpaceError: A value is refused by the settings, or the constraints leave next to no
                points; the message names dimension and value.
        """
        space = self._resolved(base)
        for dimension in space.dimensions:
            first, *inner = dimension.domain.probes()
            for value in (first, *reversed(inner)):
                space._try_value(base, dimension, value)
            _check_number_kind(base, dimension, space._required(dimension))
        for end in (0, -1):
            space._try_corner(base, end, {})
        if space.constraints:
            for values in allowed_sample(space):
                _try_point(base, values)
        return space

    def allows(self, values: Mapping[str, Any]) -> bool:
        """Whether the constraints let a trial with these values run."""
        return all(constraint.holds(values) for constraint in self.constraints)

    def at(self, shares: Sequence[float]) -> dict[str, Any]:
        """Return the point at these places of the dimensions.

        Args:
            shares: One number a dimension, 0 <= share < 1; those of inactive ones are not used.
        """
        values: dict[str, Any] = {}
        for dimension, share in zip(self.dimensions, shares, strict=True):
            if _active(dimension, values):
                values[dimension.key] = dimension.domain.at(share)
        return values

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values whose dimensions' conditions hold among them, parents first."""
        kept: dict[str, Any] = {}
        for dimension in self.dimensions:
            if dimension.key in values and _active(dimension, kept):
                kept[dimension.key] = values[dimension.key]
        return kept

    def inside(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are in their dimensions, as the dimensions hold them."""
        domains = {d.key: d.domain for d in self.dimensions}
        return {
            key: domains[key].decode(domains[key].encode(value))
            for key, value in values.items()
            if key in domains and domains[key].contains(value)
        }

    def allowed_points(
        self,
        generator: random.Random,
        count: int,
        *,
        tries: int = _MAX_TRIES,
        fixed: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Draw points that the constraints allow; fewer than `count` where they are rare.

        Args:
            generator: Random numbers.
            count: Points wanted.
            tries: Points drawn at most.
            fixed: Values that every point has where it has their dimensions.
        """
        given, allowed = fixed or {}, []
        for _ in range(tries):
            values: dict[str, Any] = {}
            for dimension in self.dimensions:
                drawn = dimension.domain.at(generator.random())
                if _active(dimension, values):
                    values[dimension.key] = given.get(dimension.key, drawn)
            if self.allows(values):
                allowed.append(values)
                if len(allowed) == count:
                    break
        return allowed

    def distance(self, left: Mapping[str, Any], right: Mapping[str, Any]) -> float:
        """Return how far apart two points are: the sum of squares over the dimensions.

        A range counts as 1 from end to end, on its own scale; unlike choices, and a dimension that
        only one of the two has, count as 1.
        """
        total = 0.0
        for dimension in self.dimensions:
            key = dimension.key
            if key in left and key in right:
                total += dimension.domain.gap(left[key], right[key]) ** 2
            else:
                total += key in left or key in right
        return total

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """Draw a trial's values: dotted key -> value of the dimensions that are active in it."""
        values: dict[str, Any] = {}
        for dimension in self.dimensions:
            if _active(dimension, values):
                values[dimension.key] = dimension.domain.suggest(trial, dimension.key)
        return values

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values as Optuna's journal holds them."""
        domains = {d.key: d.domain for d in self.dimensions}
        return {key: domains[key].encode(value) for key, value in values.items()}

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values from the parameters that Optuna's journal holds."""
        return {d.key: d.domain.decode(params[d.key]) for d in self.dimensions if d.key in params}

    @property
    def conditional(self) -> bool:
        """Whether some dimension is missing from some trials."""
        return any(d.when for d in self.dimensions)

    def grid(self) -> list[dict[str, Any]]:
        """List every allowed point in order, the last dimension changing fastest.

        Raises:
            SpaceError: A range has no step, there are more than 100,000 points, or the constraints
                leave none.
        """
        for dimension in self.dimensions:
            if dimension.domain.points() is None:
                raise refuse(
                    dimension.key,
                    "a grid needs a list of values or a range with a step (and without log, at "
                    f"most {MAX_POINTS:,} values), got {_range_text(dimension)}. Add a step, or "
                    "search with tpe or random.",
                )
        points = list(itertools.islice(_enumerate(self.dimensions), MAX_POINTS + 1))
        if len(points) > MAX_POINTS:
            raise SpaceError(
                f"the grid has more than {MAX_POINTS:,} points: shorten its lists, or search with "
                "tpe or random"
            )
        allowed = [point for point in points if self.allows(point)]
        if not allowed:
            raise refuse("constraints", f"they leave none of the grid's {len(points):,} points.")
        return allowed

    def data_points(self, base: TrialSettings) -> list[dict[str, Any]]:
        """List the distinct values of ``data.*`` dimensions that trials can have.

        Args:
            base: Settings of everything that is not searched.

        Returns:
            Dicts of dotted key -> value; one empty dict where the data is not searched.

        Raises:
            SpaceError: A ``data.*`` dimension, or one that it depends on, has no finite list of
                values.
        """
        space = self._resolved(base)
        needed: dict[str, Dimension] = {}
        for dimension in space.dimensions:
            if dimension.key.startswith("data."):
                for key in (*space._required(dimension), dimension.key):
                    needed[key] = space._by_key(key)
        dimensions = [d for d in space.dimensions if d.key in needed]
        own = [c for c in space.constraints if not (c.keys & space.keys) - needed.keys()]
        for dimension in dimensions:
            if dimension.domain.points() is None:
                raise refuse(
                    dimension.key,
                    "dimensions that change the data need a list of values or a step, since each "
                    f"dataset is prepared before the study starts, got {_range_text(dimension)}.",
                )
        distinct: list[dict[str, Any]] = []
        for point in _enumerate(dimensions):
            values = {key: value for key, value in point.items() if key.startswith("data.")}
            if values not in distinct and all(c.holds(point) for c in own):
                distinct.append(values)
        return distinct

    def data_settings(self, base: TrialSettings) -> list[DataSettings]:
        """List the distinct data settings that trials can have; errors as `data_points`."""
        distinct: list[DataSettings] = []
        for values in self.data_points(base):
            data = with_values(base, values).data
            if data not in distinct:
                distinct.append(data)
        return distinct

    def largest(self, key: str, base: TrialSettings) -> Any:
        """Return the largest value that a trial can have for a number such as training.n_iter."""
        values = [setting_of(base, key)]
        for dimension in self.dimensions:
            if dimension.key == key:
                values = dimension.domain.probes() + (values if dimension.when else [])
        return max(values)

    @property
    def keys(self) -> frozenset[str]:
        """The settings that are searched."""
        return frozenset(dimension.key for dimension in self.dimensions)

    def _by_key(self, key: str) -> Dimension:
        return next(d for d in self.dimensions if d.key == key)

    def _resolved(self, base: TrialSettings) -> Self:
        """Decide conditions on settings that are not searched; drop what they rule out."""
        searched = self.keys
        kept: list[Dimension] = []
        for dimension in self.dimensions:
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
            raise SpaceError(
                "no dimension can be active: every `when` is ruled out by the settings"
            )
        constraints = tuple(constraint.beside(base) for constraint in self.constraints)
        return replace(self, dimensions=tuple(kept), constraints=constraints)

    def required(self, key: str) -> dict[str, Any]:
        """Return values of other dimensions with which this one is active, parents first."""
        return self._required(self._by_key(key))

    def _required(self, dimension: Dimension) -> dict[str, Any]:
        """Return values of other dimensions with which this one is active, parents first."""
        allowed: dict[str, list[Any]] = {}
        waiting = [dimension]
        while waiting:
            for key, values in waiting.pop().when:
                options = allowed.setdefault(key, list(values))
                allowed[key] = [o for o in options if any(same(o, v) for v in values)]
                if not allowed[key]:
                    raise refuse(dimension.key, f"its conditions on {key} can never all hold.")
                waiting.append(self._by_key(key))
        return {d.key: allowed[d.key][0] for d in self.dimensions if d.key in allowed}

    def _try_value(self, base: TrialSettings, dimension: Dimension, value: Any) -> None:
        """Try one value beside the base settings, or else beside both corners of the space.

        A searched key's base setting reaches no trial, so a value that only it refuses is good.
        """
        fixed = {**self._required(dimension), dimension.key: value}
        try:
            with_values(base, fixed)
        except ConfigError as error:
            own = f"{dimension.key}: "
            if str(error).startswith(own):
                text = str(error).removeprefix(own)
                shown = "" if "got " in text else f", got {value!r}"
                raise refuse(dimension.key, f"{text}{shown}") from None
            for end in (0, -1):
                self._try_corner(base, end, fixed)

    def _try_corner(self, base: TrialSettings, end: int, fixed: Mapping[str, Any]) -> None:
        """Try the point of all first (0) or all last (-1) values, with some values given."""
        values: dict[str, Any] = {}
        for dimension in self.dimensions:
            if _active(dimension, values):
                own = dimension.domain.probes()[end]
                values[dimension.key] = fixed.get(dimension.key, own)
        if self.allows(values):
            _try_point(base, values)


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


def _active(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether a trial with these values has the dimension."""
    return all(
        key in values and any(same(values[key], value) for value in allowed)
        for key, allowed in dimension.when
    )


def _enumerate(dimensions: Sequence[Dimension]) -> Iterator[dict[str, Any]]:
    """Yield every point over finite dimensions, inactive ones left out: no point twice."""

    def extend(index: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if index == len(dimensions):
            yield dict(values)
        elif not _active(dimensions[index], values):
            yield from extend(index + 1, values)
        else:
            for value in dimensions[index].domain.points() or ():
                yield from extend(index + 1, {**values, dimensions[index].key: value})

    return extend(0, {})


def _try_point(base: TrialSettings, values: Mapping[str, Any]) -> None:
    try:
        with_values(base, values)
    except ConfigError as error:
        first, *others = values
        together = ", ".join(f"{key}={values[key]!r}" for key in others)
        beside = f" together with {together}" if together else ""
        raise refuse(first, f"the value {values[first]!r}{beside} is refused: {error}") from None


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
            f"{texts} leave {len(allowed)} of {_MAX_TRIES:,} points drawn at random. Narrow the "
            "dimensions, or loosen the constraints.",
        )
    return allowed


def _check_fixed(base: TrialSettings, dimension: Dimension, key: str, value: Any) -> None:
    """Refuse a condition that waits for a value which the setting cannot have."""
    try:
        with_values(base, {key: value})
    except ConfigError as error:
        raise refuse(dimension.key, f"when {error}") from None


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
        f"the setting takes fractions but both ends are whole, got {_range_text(dimension)}. Write "
        f"low: {domain.low}.0 to search fractions too, or add step: 1 for whole numbers only.",
    )


def _range_text(dimension: Dimension) -> str:
    domain = dimension.domain
    return ", ".join(
        f"{name}={getattr(domain, name)}" for name in ("low", "high") if hasattr(domain, name)
    )
