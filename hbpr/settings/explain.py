"""What there is to know of each setting, read from the models that check it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hbpr.settings.kinds import Kinds, sections_of
from hbpr.tables import Table

_TYPES: Final = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "mapping",
    Any: "anything",
}
_KIND: Final = "the name of a kind"
_BOUNDS: Final = {Ge: ("ge", "from"), Gt: ("gt", "above"), Le: ("le", "to"), Lt: ("lt", "below")}


@dataclass(frozen=True)
class Variant:
    """A setting as some kinds of its section have it.

    Attributes:
        kinds: Those kinds; empty: its section has none, or all have it so.
        type: What it holds, in words.
        default: What is meant where it is left out, in words.
        bounds: What it must lie in, in words; empty: anything.
        description: What it does.
    """

    kinds: tuple[str, ...]
    type: str
    default: str
    bounds: str
    description: str


@dataclass(frozen=True)
class Setting:
    """One setting, or a section of them.

    Attributes:
        key: Its dotted key.
        is_section: Whether settings lie below it.
        variants: Its forms, one unless kinds differ in it.
    """

    key: str
    is_section: bool
    variants: tuple[Variant, ...]


@dataclass
class _Found:
    is_section: bool
    forms: dict[tuple[str, str, str, str], list[str]] = field(default_factory=dict)
    n_kinds: int = 0


def all_settings(model_class: type[BaseModel]) -> dict[str, Setting]:
    """Return every setting of a schema by its dotted key, in the schema's order.

    Example:
        >>> from hbpr.settings.models import TrialSettings
        >>> found = all_settings(TrialSettings)
        >>> found["optimizer.lr"].variants[0].bounds, found["model.hidden"].variants[0].kinds
        ('above 0, to 100', ('neumf',))
    """
    found: dict[str, _Found] = {}
    _walk(model_class, "", [], 0, found)
    return {key: Setting(key, each.is_section, _variants(each)) for key, each in found.items()}


def _walk(
    model_class: type[BaseModel],
    above: str,
    kinds: list[str],
    n_kinds: int,
    found: dict[str, _Found],
) -> None:
    for name, info in model_class.model_fields.items():
        key = f"{above}.{name}" if above else name
        below = sections_of(info)
        each = found.setdefault(key, _Found(bool(below), n_kinds=n_kinds))
        form = _form(info, below)
        if name == "kind" and kinds:
            form = _KIND, kinds[0], "", info.description or ""
        each.forms.setdefault(form, []).extend(kinds)
        table = next((m for m in _parts(info) if isinstance(m, Kinds)), None)
        for section in below:
            kind = section.model_fields["kind"].default if table is not None else None
            several = len(list(table)) if table is not None else 0
            _walk(section, key, [kind] if kind else [], several, found)


def _variants(found: _Found) -> tuple[Variant, ...]:
    names = [default for said, default, *_ in found.forms if said == _KIND]
    if names:  # the kinds of a section: one of them
        each = " ".join(f"{default}: {words}" for _, default, _, words in found.forms)
        return (Variant((), _or(names), names[0], "", each),)
    variants = []
    for form, kinds in found.forms.items():
        everywhere = len(set(kinds)) == found.n_kinds
        variants.append(Variant(() if everywhere else tuple(dict.fromkeys(kinds)), *form))
    return tuple(variants)


def _form(info: FieldInfo, below: Sequence[type[BaseModel]]) -> tuple[str, str, str, str]:
    table = next((each for each in _parts(info) if isinstance(each, Table)), None)
    said = f"one of {', '.join(table)}" if table is not None else _type(info.annotation)
    if below and get_origin(info.annotation) not in (tuple, dict):
        said = "section"
    bounds = _bounds(_parts(info))
    return (said, _default(info, bool(below)), bounds, info.description or "")


def _parts(info: FieldInfo) -> Iterator[Any]:
    """Yield what stands beside a field's type, also within what is left out or listed."""
    yield from info.metadata
    for each in get_args(info.annotation):
        if get_origin(each) is Annotated:
            yield from get_args(each)[1:]


def _type(annotation: Any) -> str:
    """Return a type in words.

    Example:
        >>> _type(tuple[int, ...]), _type(float | None), _type(Literal["dot", "cosine"])
        ('list of whole numbers', 'number', 'dot or cosine')
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        table = next((each for each in args[1:] if isinstance(each, Table)), None)
        return f"one of {', '.join(table)}" if table is not None else _type(args[0])
    if origin is Literal:
        return _or([str(each) for each in args])
    if origin in (Union, UnionType):
        return _or([_type(each) for each in args if each is not NoneType])
    if origin is tuple:
        return f"list of {_several(_type(args[0]))}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _several(word: str) -> str:
    plain = {"whole number", "number", "section", "mapping"}
    return f"{word}s" if word in plain else word


def _or(words: Sequence[str]) -> str:
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def _bounds(parts: Iterator[Any]) -> str:
    said = []
    for part in parts:
        for each in getattr(part, "metadata", [part]):
            if type(each) in _BOUNDS:
                name, words = _BOUNDS[type(each)]
                said.append(f"{words} {getattr(each, name):g}")
            elif isinstance(each, MinLen) and each.min_length == 1:
                said.append("not empty")
    return ", ".join(dict.fromkeys(said))


def _default(info: FieldInfo, is_section: bool) -> str:
    if info.default is PydanticUndefined and info.default_factory is None:
        return "required"
    if is_section and info.default_factory is not None:
        return ""
    value = info.get_default(call_default_factory=True)
    if value is None:
        return "left out"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, str):
        return value if value.strip() and value not in (",", '"') else f"'{value}'"
    return f"{value:g}" if isinstance(value, float) else str(value) if value != {} else "none"
