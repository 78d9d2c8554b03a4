"""A dimension as it is written in YAML, checked word by word."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tune.space.dimensions import Dimension
from tune.space.domains import Choice, Domain, FloatRange, IntRange, is_number
from tune.space.words import nearest, refuse

_RANGE_KEYS = ("low", "high", "log", "step", "when")
_CHOICE_KEYS = ("choices", "when")
#: Words that distinguish a dimension from a mapping of dimensions.
DIMENSION_KEYS = frozenset((*_RANGE_KEYS, *_CHOICE_KEYS))
_FORMS = "a list of values, {choices: [...]} or {low: ..., high: ...}"


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
    _check_ends(key, low, high)
    _check_log(key, low, step, log)
    if step is not None:
        _check_step(key, low, high, step)
    if all(isinstance(value, int) for value in (low, high, 1 if step is None else step)):
        return IntRange(low, high, step, log)
    return FloatRange(float(low), float(high), None if step is None else float(step), log)


def _check_ends(key: str, low: float, high: float) -> None:
    if low == high:
        raise refuse(
            key, f"low must be below high, got low={low}, high={high}. Set the value itself."
        )
    if low > high:
        raise refuse(key, f"low must be below high, got low={low}, high={high}. Swap them.")


def _check_log(key: str, low: float, step: Any, log: Any) -> None:
    if not isinstance(log, bool):
        raise refuse(key, f"log must be true or false, got {log!r}.")
    if log and step is not None:
        raise refuse(key, f"a log range takes no step, got step={step}. Remove one of the two.")
    if log and low <= 0:
        raise refuse(key, f"low must be above 0 in a log range, got low={low}.")


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
