"""Dimensions of a space as objects, for Python; a file writes the same as mappings and lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Dotted setting to the value, or the list of values, with which a dimension is searched.
When = Mapping[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Numbers from `low` to `high`, both included: ``{low: ..., high: ..., step: ...}``.

    Attributes:
        low: The least.
        high: The most.
        step: Distance of the values; None: continuous.
        when: Conditions on other settings; None: searched in every trial.
    """

    low: float
    high: float
    step: float | None = None
    when: When | None = None

    def written(self) -> dict[str, Any]:
        """Return the dimension as a file has it."""
        step = None if self.step is None else float(self.step)
        ends = {"low": float(self.low), "high": float(self.high)}
        return _without_none({**ends, "step": step, "when": self.when})


@dataclass(frozen=True)
class LogUniform:
    """Numbers whose logarithm is spread evenly: ``{low: ..., high: ..., log: true}``.

    Attributes:
        low: The least, above 0.
        high: The most.
        when: Conditions on other settings; None: searched in every trial.
    """

    low: float
    high: float
    when: When | None = None

    def written(self) -> dict[str, Any]:
        """Return the dimension as a file has it."""
        ends = {"low": float(self.low), "high": float(self.high)}
        return _without_none({**ends, "log": True, "when": self.when})


@dataclass(frozen=True)
class Integer:
    """Whole numbers from `low` to `high`, both included.

    Attributes:
        low: The least.
        high: The most.
        step: Distance of the values; None: one.
        log: Spread their logarithm evenly; goes without `step`.
        when: Conditions on other settings; None: searched in every trial.
    """

    low: int
    high: int
    step: int | None = None
    log: bool = False
    when: When | None = None

    def written(self) -> dict[str, Any]:
        """Return the dimension as a file has it."""
        ends = {"low": self.low, "high": self.high, "step": self.step}
        return _without_none({**ends, "log": self.log or None, "when": self.when})


@dataclass(frozen=True)
class Choice:
    """One of some values: ``{choices: [...]}``.

    Attributes:
        values: Numbers, texts, true, false, None, or lists and mappings of them.
        when: Conditions on other settings; None: searched in every trial.
    """

    values: Sequence[Any]
    when: When | None = None

    def written(self) -> dict[str, Any]:
        """Return the dimension as a file has it."""
        return _without_none({"choices": self.values, "when": self.when})


def as_written(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space as a file has it: objects as mappings, arrays and ranges as lists.

    Example:
        >>> as_written({"model.n_latent": range(16, 49, 16), "optimizer.lr": LogUniform(0.01, 1)})
        {'model.n_latent': [16, 32, 48], 'optimizer.lr': {'low': 0.01, 'high': 1.0, 'log': True}}
    """
    return {key: _plain(value) for key, value in space.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Uniform | LogUniform | Integer | Choice):
        value = value.written()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(inner) for inner in value]
    if type(value).__module__ == "numpy":
        return value.tolist()
    return value


def _without_none(words: dict[str, Any]) -> dict[str, Any]:
    return {word: value for word, value in words.items() if value is not None}
