"""A search space: dotted settings with their dimensions, conditions between them, and its points.

A space is define-by-run: dimensions are drawn parents first, and one whose condition does not hold
is left out of the trial, which then keeps the base setting. Constraints refuse points of the space,
which are then never run.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from hbpr.errors import SpaceError
from tune.space.constraints import Constraint
from tune.space.dimensions import Dimension
from tune.space.domains import MAX_POINTS, same
from tune.space.parse import parse_dimensions
from tune.space.words import refuse

if TYPE_CHECKING:
    from optuna.trial import Trial

#: Points that are drawn at most where the constraints refuse most of them.
MAX_TRIES: Final = 10_000


@dataclass(frozen=True)
class Space:
    """The dimensions of a study, parents before the dimensions that depend on them.

    `parse` reads it; `tune.space.check.check_space` tries it against the base settings and returns
    the space that a study searches. Plain values throughout, so it can be pickled.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any], constraints: Sequence[str] = ()) -> Self:
        """Read a space from YAML values.

        Args:
            raw: Dotted key of a setting -> list of values, ``{choices: [...]}`` or ``{low, high,
                log, step}``; the mappings may carry ``when: {other.key: value or values}``. The
                values of a section are mappings of its settings.
            constraints: Conditions that every trial must meet, see `Constraint`.

        Raises:
            SpaceError: The message starts with the dimension's key, or with ``constraints``.
        """
        dimensions = parse_dimensions(raw)
        read = tuple(map(Constraint.parse, constraints))
        space = cls(dimensions, read)
        for constraint in read:
            if constraint.keys.isdisjoint(space.settings):
                raise refuse("constraints", f"{constraint.text!r} names nothing that is searched.")
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
            if dimension.is_active(values):
                values[dimension.key] = dimension.domain.at(share)
        return values

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values whose dimensions' conditions hold among them, parents first."""
        kept: dict[str, Any] = {}
        for dimension in self.dimensions:
            if dimension.key in values and dimension.is_active(kept):
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
        tries: int = MAX_TRIES,
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
                if dimension.is_active(values):
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
            if dimension.is_active(values):
                values[dimension.key] = dimension.domain.suggest(trial, dimension.key)
        return values

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values as Optuna's journal holds them."""
        domains = {d.key: d.domain for d in self.dimensions}
        return {key: domains[key].encode(value) for key, value in values.items()}

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values from the parameters that Optuna's journal holds."""
        return {d.key: d.domain.decode(params[d.key]) for d in self.dimensions if d.key in params}

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
                    f"most {MAX_POINTS:,} values), got {dimension.ends}. Add a step, or "
                    "search with tpe or random.",
                )
        points = list(itertools.islice(self.points(), MAX_POINTS + 1))
        if len(points) > MAX_POINTS:
            raise SpaceError(
                f"the grid has more than {MAX_POINTS:,} points: shorten its lists, or search with "
                "tpe or random"
            )
        allowed = [point for point in points if self.allows(point)]
        if not allowed:
            raise refuse("constraints", f"they leave none of the grid's {len(points):,} points.")
        return allowed

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield every point once, the last dimension changing fastest; constraints are not asked.

        Inactive dimensions are left out. Every dimension must have a finite list of values.
        """

        def extend(index: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if index == len(self.dimensions):
                yield dict(values)
            elif not self.dimensions[index].is_active(values):
                yield from extend(index + 1, values)
            else:
                dimension = self.dimensions[index]
                for value in dimension.domain.points() or ():
                    yield from extend(index + 1, {**values, dimension.key: value})

        return extend(0, {})

    @property
    def keys(self) -> frozenset[str]:
        """The settings and sections that are searched."""
        return frozenset(dimension.key for dimension in self.dimensions)

    @property
    def settings(self) -> frozenset[str]:
        """The dotted settings that trials get their own values of."""
        return frozenset(name for dimension in self.dimensions for name in dimension.settings)

    def required(self, key: str) -> dict[str, Any]:
        """Return values of other dimensions with which this one is active, parents first."""
        allowed = self.conditions(key)
        return {d.key: allowed[d.key][0] for d in self.dimensions if d.key in allowed}

    def conditions(self, key: str) -> dict[str, list[Any]]:
        """Return the values of each dimension on which this one depends, those between too."""
        allowed: dict[str, list[Any]] = {}
        waiting = [self._by_key(key)]
        while waiting:
            for parent, values in waiting.pop().when:
                options = allowed.setdefault(parent, list(values))
                allowed[parent] = [o for o in options if any(same(o, v) for v in values)]
                if not allowed[parent]:
                    raise refuse(key, f"its conditions on {parent} can never all hold.")
                waiting.append(self._by_key(parent))
        return allowed

    def _by_key(self, key: str) -> Dimension:
        return next(d for d in self.dimensions if d.key == key)
