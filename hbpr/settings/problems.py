"""Plain sentences for what is wrong with settings.

Each problem names the place, the rule, the value received and, where one is near, the known key.
Passwords in addresses are masked.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from hbpr.settings.kinds import NOT_OF_KIND, sections_of, until_a_kind_is_added
from hbpr.words import did_you_mean

_SHOWN_LENGTH: Final = 80
_USERINFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"]*@")
_A_SECTION: Final = "must be a section of `key: value` lines"
_RULES: Final = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": _A_SECTION,
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "mapping_type": _A_SECTION,
    "model_attributes_type": _A_SECTION,
    "model_type": _A_SECTION,
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


def mask_secrets(text: str) -> str:
    """Hide user names and passwords in addresses.

    Example:
        >>> mask_secrets("server http://ann:pa55@tracking:5000/api is away")
        'server http://***@tracking:5000/api is away'
    """
    return _USERINFO.sub(r"\1***@", text)


def describe(
    error: ValidationError, model_class: type[BaseModel], place: Callable[[str], str]
) -> str:
    """Return one line for each problem.

    Args:
        error: What pydantic found.
        model_class: The schema; nearest keys are looked up in it.
        place: Gives the place of a dotted key in words, the key included.
    """
    found: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        # a value of several types is named once a type, as in ("start_with", 0, "dict[str,any]")
        loc = [part for part in problem["loc"] if "[" not in str(part)]
        key = ".".join(str(part) for part in loc)
        found.setdefault(key, []).append(_sentence(problem, model_class, loc))
    lines = []
    for key, sentences in found.items():
        where, text = place(key), _either(*sentences)
        lines.append(f"{where}: {text}" if where else text)
    return mask_secrets("\n".join(lines))


@until_a_kind_is_added
def known_keys(model_class: type[BaseModel]) -> tuple[str, ...]:
    """Return every dotted key of a schema, sections and all kinds included, in its order.

    Example:
        >>> from hbpr.settings.models import MfSettings
        >>> known_keys(MfSettings)[:4]
        ('kind', 'n_latent', 'item_bias', 'init_std')
    """
    keys: dict[str, None] = {}
    for name, field in model_class.model_fields.items():
        keys[name] = None
        for section in sections_of(field):
            keys |= dict.fromkeys(f"{name}.{key}" for key in known_keys(section))
    return tuple(keys)


def _sentence(problem: Any, model_class: type[BaseModel], loc: Sequence[int | str]) -> str:
    kind, value = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"unknown key.{_near_key(model_class, loc)}"
    if kind == NOT_OF_KIND:
        context = problem["ctx"]
        near = "" if context["having"] else _near(str(loc[-1]), context["fields"], model_class)
        return f"unknown key.{near}" if near else str(problem["msg"])
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        text = str(problem["ctx"]["error"])
        leaf = not isinstance(value, dict | BaseModel)
        return f"{text}, got {_shown(value)}" if leaf and "got " not in text else text
    if kind == "literal_error":
        expected = problem["ctx"]["expected"].replace("'", "")
        names = re.split(r", | or ", expected)
        near = did_you_mean(value, names)
        return f"must be {expected}, got {_shown(value)}{near and f'.{near}'}"
    rule = _RULES.get(kind) or re.sub(r"^[A-Z]\w* should\b", "must", problem["msg"])
    advice = ". Quote it." if kind == "string_type" and isinstance(value, int | float) else ""
    return f"{rule}, got {_shown(value)}{advice}"


def _either(first: str, *others: str) -> str:
    """Put the rules of one value, of which any would do, into one sentence."""
    rule, got, rest = first.partition(", got ")
    rules = [other.partition(", got ")[0].removeprefix("must be ") for other in others]
    return ", or ".join([rule, *rules]) + got + rest


def _near_key(model_class: type[BaseModel], loc: Sequence[int | str]) -> str:
    """Name the nearest key of the same section, else of the whole schema, else the section's."""
    *above, last = (str(part) for part in loc)
    sections: list[type[BaseModel]] = [model_class]
    for part in above:
        fields = [each.model_fields[part] for each in sections if part in each.model_fields]
        sections = [section for field in fields for section in sections_of(field)]
        if not sections:
            return ""
    known = dict.fromkeys(name for section in sections for name in section.model_fields)
    return _near(last, known, model_class) or f" Known keys here: {', '.join(known)}."


def _near(word: str, known: Iterable[str], model_class: type[BaseModel]) -> str:
    """Name the nearest key of a section, or else one of the schema that is very near."""
    near = did_you_mean(word, known)
    if near:
        return near
    by_name = {key.rpartition(".")[2]: key for key in known_keys(model_class) if "." in key}
    return did_you_mean(word, by_name, shown=by_name.__getitem__, likeness=0.8)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = mask_secrets(repr(value))
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
