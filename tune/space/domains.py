"""The values that a dimension may take: a finite set, whole numbers, or numbers of a range."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

#: A grid larger than this is a mistake rather than a plan.
MAX_POINTS = 100_000


@dataclass(frozen=True)
class Choice:
    """A finite set of values: YAML scalars, or lists and mappings of them (structures)."""

    values: tuple[Any, ...]

    @property
    def structured(self) -> bool:
        """Whether Optuna sees the values as JSON text, because one of them is not a scalar."""
        return any(isinstance(value, (list, dict)) for value in self.values)

    def suggest(self, trial: "Trial", key: str) -> Any:
        """Draw a value."""
        return self.decode(trial.suggest_categorical(key, [self.encode(v) for v in self.values]))

    def at(self, share: float) -> Any:
        """Return the value below which this share of the dimension lies, 0 <= share < 1."""
        return self.values[int(share * len(self.values))]

    def share(self, value: Any) -> float:
        """Return a share at which the value lies, the middle one; see `at`."""
        index = next(i for i, own in enumerate(self.values) if same(own, value))
        return (index + 0.5) / len(self.values)

    def gap(self, left: Any, right: Any) -> float:
        """Return 0 for equal values, else 1."""
        return float(not same(left, right))

    def distribution(self) -> "BaseDistribution":
        """Return the dimension as Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([self.encode(value) for value in self.values])

    def encode(self, value: Any) -> Any:
        """Return the value as Optuna's journal holds it."""
        if not self.structured:
            return value
        own = next((each for each in self.values if same(each, value)), value)
        return json.dumps(own, sort_keys=True)

    def decode(self, value: Any) -> Any:
        """Return the setting's value of what the journal holds."""
        return json.loads(value) if self.structured else value

    def contains(self, value: Any) -> bool:
        """Whether a trial can take this value."""
        return any(same(value, own) for own in self.values)

    def probes(self) -> list[Any]:
        """Values that stand for all others when the space is tried against the settings."""
        return list(self.values)

    def points(self) -> list[Any] | None:
        """All values in order; None where they cannot be listed."""
        return list(self.values)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included; `step` None: one, not written down."""

    low: int
    high: int
    step: int | None = None
    log: bool = False

    def suggest(self, trial: "Trial", key: str) -> int:
        """Draw a value."""
        return trial.suggest_int(key, self.low, self.high, step=self.step or 1, log=self.log)

    def at(self, share: float) -> int:
        """Return the value below which this share of the dimension lies, 0 <= share < 1."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return min(max(round(math.exp(low + share * (high - low))), self.low), self.high)
        step = self.step or 1
        return self.low + step * int(share * ((self.high - self.low) // step + 1))

    def share(self, value: int) -> float:
        """Return a share at which the value lies, about the middle one; see `at`."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(value) - low) / (high - low)
        step = self.step or 1
        return ((value - self.low) // step + 0.5) / ((self.high - self.low) // step + 1)

    def gap(self, left: float, right: float) -> float:
        """Return the distance as a share of the whole range."""
        return _gap(self, left, right)

    def distribution(self) -> "BaseDistribution":
        """Return the dimension as Optuna has it."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)

    def encode(self, value: Any) -> Any:
        """Return the value as Optuna's journal holds it."""
        return value

    def decode(self, value: Any) -> int:
        """Return the setting's value of what the journal holds."""
        return int(value)

    def contains(self, value: Any) -> bool:
        """Whether a trial can take this value."""
        whole = is_number(value) and float(value).is_integer()
        return whole and value in range(self.low, self.high + 1, self.step or 1)

    def probes(self) -> list[Any]:
        """Values that stand for all others when the space is tried against the settings."""
        return [self.low, self.high]

    def points(self) -> list[Any] | None:
        """All values in order; None where they cannot be listed."""
        if self.log or (self.high - self.low) // (self.step or 1) >= MAX_POINTS:
            return None
        return list(range(self.low, self.high + 1, self.step or 1))


@dataclass(frozen=True)
class FloatRange:
    """Numbers from `low` to `high`; `step` None: continuous."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def suggest(self, trial: "Trial", key: str) -> float:
        """Draw a value."""
        value = trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)
        return self.decode(value)

    def at(self, share: float) -> float:
        """Return the value below which this share of the dimension lies, 0 <= share < 1."""
        if self.step is not None:
            return self._point(int(share * (round((self.high - self.low) / self.step) + 1)))
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return min(max(math.exp(low + share * (high - low)), self.low), self.high)
        return self.low + share * (self.high - self.low)

    def share(self, value: float) -> float:
        """Return a share at which the value lies, of a step the middle one; see `at`."""
        if self.step is not None:
            count = round((self.high - self.low) / self.step) + 1
            return (round((value - self.low) / self.step) + 0.5) / count
        return _gap(self, self.low, value)

    def gap(self, left: float, right: float) -> float:
        """Return the distance as a share of the whole range."""
        return _gap(self, left, right)

    def distribution(self) -> "BaseDistribution":
        """Return the dimension as Optuna has it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def encode(self, value: Any) -> Any:
        """Return the value as Optuna's journal holds it."""
        return value

    def decode(self, value: Any) -> float:
        """Return the setting's value of what the journal holds, exactly as `points` lists it."""
        if self.step is None:
            return float(value)
        return self._point(round((value - self.low) / self.step))

    def contains(self, value: Any) -> bool:
        """Whether a trial can take this value."""
        inside = is_number(value) and self.low <= value <= self.high
        return inside and (self.step is None or math.isclose(self.decode(value), value))

    def probes(self) -> list[Any]:
        """Values that stand for all others when the space is tried against the settings."""
        if self.step is not None:
            return [self.low, self._point(1), self.high]
        return [self.low, self.low + 0.381966 * (self.high - self.low), self.high]

    def points(self) -> list[Any] | None:
        """All values in order; None where they cannot be listed."""
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step) + 1
        return [self._point(i) for i in range(count)] if count <= MAX_POINTS else None

    def _point(self, index: int) -> float:
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))


Domain = Choice | IntRange | FloatRange


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def same(left: Any, right: Any) -> bool:
    """Whether two values of a setting are equal: lists equal tuples, true is not one.

    Example:
        >>> same([64, 32], (64, 32)), same(True, 1), same(1, 1.0)
        (True, False, True)
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _gap(own: IntRange | FloatRange, left: float, right: float) -> float:
    low, high, left, right = map(math.log if own.log else float, (own.low, own.high, left, right))
    return abs(left - right) / (high - low)
