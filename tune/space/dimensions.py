"""The dimensions of a search space: choices and ranges, read from YAML and checked one by one."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hbpr.errors import SpaceError
from hbpr.settings.load import dotted
from hbpr.words import did_you_mean

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from hbpr.settings.models import TrialSettings

#: A grid larger than this is a mistake rather than a plan.
MAX_POINTS = 100_000

_RANGE_KEYS = ("low", "high", "log", "step", "when")
_CHOICE_KEYS = ("choices", "when")
#: Words that tell a dimension from a mapping of dimensions.
DIMENSION_KEYS = frozenset((*_RANGE_KEYS, *_CHOICE_KEYS))
_FORMS = "a list of values, {choices: [...]} or {low: ..., high: ...}"


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


@dataclass(frozen=True)
class Dimension:
    """One searched setting, or one section of settings.

    Attributes:
        key: Dotted path of the setting or section.
        domain: The values it may take.
        when: Conditions (dotted key, values that satisfy it); all must hold for a trial to have
            this dimension.
    """

    key: str
    domain: Domain
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def is_section(self) -> bool:
        """Whether its choices set whole sections of settings."""
        return isinstance(self.domain, Choice) and any(
            isinstance(value, Mapping) for value in self.domain.values
        )

    @property
    def settings(self) -> frozenset[str]:
        """The dotted settings that its values set; a section's are those that a choice names."""
        if not self.is_section:
            return frozenset((self.key,))
        return frozenset(name for value in self.domain.probes() for name in self.named(value))

    def named(self, value: Any) -> dict[str, Any]:
        """Return what one of its values sets: dotted setting -> value."""
        return dotted({self.key: value})

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial with these values, those of its parents among them, has it."""
        return all(
            key in values and any(same(values[key], value) for value in allowed)
            for key, allowed in self.when
        )

    @property
    def ends(self) -> str:
        """The ends of a range in words, for messages; empty for a choice."""
        if isinstance(self.domain, Choice):
            return ""
        return f"low={self.domain.low}, high={self.domain.high}"


def parse_dimension(key: str, raw: Any) -> Dimension:
    """Read one dimension.

    Args:
        key: Dotted path of the setting that it searches.
        raw: A list of values, ``{choices: [...]}`` or ``{low, high, log, step}``; the mappings may
            carry ``when``.

    Raises:
        SpaceError: The dimension is wrong; the message starts with `key`.

    Example:
        >>> parse_dimension("model.n_latent", {"low": 16, "high": 64, "step": 16}).domain
        IntRange(low=16, high=64, step=16, log=False)
    """
    if isinstance(raw, (list, tuple)):
        return Dimension(key, _choice(key, raw))
    if not isinstance(raw, Mapping):
        raise refuse(
            key,
            f"a dimension is {_FORMS}, got {raw!r}. A value that is not searched belongs in the "
            "setting itself.",
        )
    allowed = _CHOICE_KEYS if "choices" in raw else _RANGE_KEYS
    for word in raw:
        if word not in allowed:
            raise refuse(key, f"unknown key {word!r}{nearest(word, allowed)} Expected {_FORMS}.")
    domain = _choice(key, raw["choices"]) if "choices" in raw else _range(key, raw)
    return Dimension(key, domain, _conditions(key, raw.get("when")))


def written_settings(raw: Mapping[str, Any]) -> list[str]:
    """Return the dotted settings that a space as it was written sets, in its order.

    Example:
        >>> written_settings({"optimizer.lr": [0.1], "model": [{"kind": "mf"}, {"n_latent": 8}]})
        ['optimizer.lr', 'model.kind', 'model.n_latent']
    """
    names: dict[str, None] = {}
    for key, written in raw.items():
        choices = written.get("choices") if isinstance(written, Mapping) else written
        for choice in choices if isinstance(choices, list | tuple) else [None]:
            names |= dict.fromkeys(dotted({key: choice}))
    return list(names)


def refuse(key: str, text: str) -> SpaceError:
    """Return the error of a dimension; its message starts with the dimension's key."""
    return SpaceError(f"{key}: {text}")


def nearest(word: object, known: Iterable[str]) -> str:
    """Return ``. Did you mean X?``, or a full stop where nothing is near."""
    return f".{did_you_mean(word, known)}"


def as_words(settings: Mapping[str, Any]) -> str:
    """Return settings as one line.

    Example:
        >>> as_words({"optimizer.lr": 0.0123456, "training.negatives": {"kind": "mixed"}})
        'optimizer.lr=0.01235, training.negatives={kind=mixed}'
    """
    return ", ".join(f"{key}={in_words(value)}" for key, value in settings.items())


def in_words(value: Any, digits: int = 4) -> str:
    """Return a setting's value, or a section's in braces."""
    if isinstance(value, Mapping):
        return f"{{{as_words(dotted(value))}}}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def setting_of(settings: "TrialSettings", key: str) -> Any:
    """Return the value of a dotted key; None in a section that is left out, or of another kind."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name) if name in type(value).model_fields else None
        if value is None:
            return None
    return value


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


def _choice(key: str, raw: Any) -> Choice:
    if not isinstance(raw, (list, tuple)):
        raise refuse(key, f"choices must be a list, got {raw!r}.")
    if not raw:
        raise refuse(key, "a dimension needs at least one value, got an empty list.")
    for value in raw:
        if not _is_plain(value):
            raise refuse(
                key, f"a choice must be a number, text, true, false, null or a list, got {value!r}."
            )
    choice = Choice(tuple(raw))
    for i, value in enumerate(raw):
        if any(choice.encode(value) == choice.encode(earlier) for earlier in raw[:i]):
            raise refuse(key, f"a choice appears twice: {value!r}. Remove one.")
    return choice


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, (bool, str)) or is_number(value)


def _range(key: str, raw: Mapping[str, Any]) -> Domain:
    for end in ("low", "high"):
        if end not in raw:
            raise refuse(key, f"{end} is missing. Expected {_FORMS}.")
    for end in ("low", "high", "step"):
        if end in raw and not is_number(raw[end]):
            raise refuse(key, f"{end} must be a number, got {raw[end]!r}.")
    low, high, step, log = raw["low"], raw["high"], raw.get("step"), raw.get("log", False)
    if not isinstance(log, bool):
        raise refuse(key, f"log must be true or false, got {log!r}.")
    if low == high:
        raise refuse(
            key, f"low must be below high, got low={low}, high={high}. Set the value itself."
        )
    if low > high:
        raise refuse(key, f"low must be below high, got low={low}, high={high}. Swap them.")
    if log and step is not None:
        raise refuse(key, f"a log range takes no step, got step={step}. Remove one of the two.")
    if log and low <= 0:
        raise refuse(key, f"low must be above 0 in a log range, got low={low}.")
    whole = all(isinstance(v, int) for v in (low, high, 1 if step is None else step))
    if step is not None:
        _check_step(key, low, high, step)
    if whole:
        return IntRange(low, high, step, log)
    return FloatRange(float(low), float(high), None if step is None else float(step), log)


def _check_step(key: str, low: float, high: float, step: float) -> None:
    if step <= 0:
        raise refuse(key, f"step must be above 0, got step={step}.")
    first, size = Decimal(str(low)), Decimal(str(step))
    steps = (Decimal(str(high)) - first) / size
    if steps != steps.to_integral_value():
        below = first + int(steps) * size
        hint = f"high={below + size}" if below == first else f"high={below} or {below + size}"
        raise refuse(
            key,
            f"high must be low plus a whole number of steps, got low={low}, high={high}, "
            f"step={step}. Take {hint}.",
        )


def _conditions(key: str, raw: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping) or not raw:
        raise refuse(key, f"when must map a setting to a value or a list of values, got {raw!r}.")
    conditions = []
    for other, values in raw.items():
        allowed = tuple(values) if isinstance(values, (list, tuple)) else (values,)
        if not allowed:
            raise refuse(key, f"when {other}: at least one value is needed, got an empty list.")
        conditions.append((str(other), allowed))
    return tuple(conditions)
