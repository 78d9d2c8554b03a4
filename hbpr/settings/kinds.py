"""Sections of settings of which there are kinds, each with fields of its own."""

from collections.abc import Callable, Iterator, Mapping
from functools import _lru_cache_wrapper, cache
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast, get_args

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from hbpr.entry_points import brought
from hbpr.errors import ConfigError
from hbpr.parts import SCHEMA_PATTERN, find, is_path, path_of
from hbpr.tables import load

S = TypeVar("S", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")

#: Type of the error of a field that belongs to another kind, or to none.
NOT_OF_KIND: Final = "not_of_kind"
_KEPT: Final[list["_lru_cache_wrapper[Any]"]] = []
_KNOWN_ERRORS: Final = frozenset(get_args(core_schema.ErrorType))


def until_a_kind_is_added(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what a function of schemas returns, until a table gets one more kind."""
    kept = cache(function)
    _KEPT.append(kept)
    return cast("Callable[P, R]", kept)


def _forget() -> None:
    for kept in _KEPT:
        kept.cache_clear()


class Kinds(Generic[S]):
    """A table of settings classes by their ``kind``, and the type of a field that holds any.

    The table is looked up at every validation: what is added later fits the fields that are there.
    Each class declares its own name, and fields beyond those of the base.

    Args:
        base: Class of the fields that all kinds have; it declares ``kind: str``.
        classes: Derived from `base`; the first is meant where ``kind`` is left out.
        adapt: Where the function is, as ``module:attribute``, that makes such a class of a kind and
            what was found under it as a dotted path, or raises ConfigError; None: there are no
            kinds but those in the table.
        group: Entry points ``hbpr.GROUP`` of installed packages are kinds.

    Example:
        >>> from typing import Annotated, Literal
        >>> from hbpr.settings.base import Settings
        >>> class Shape(Settings):
        ...     kind: str
        >>> class Circle(Shape):
        ...     kind: Literal["circle"] = "circle"
        ...     radius: float = 1.0
        >>> SHAPES = Kinds(Shape, Circle)
        >>> class Drawing(Settings):
        ...     shape: Annotated[Shape, SHAPES]
        >>> @SHAPES.add
        ... class Square(Shape):
        ...     kind: Literal["square"] = "square"
        ...     side: float = 1.0
        >>> Drawing.model_validate({"shape": {"kind": "square", "side": 2.0}}).shape
        Square(kind='square', side=2.0)
    """

    def __init__(
        self, base: type[S], *classes: type[S], adapt: str | None = None, group: str | None = None
    ) -> None:
        self.base = base
        self._adapt, self._group = adapt, group
        self._own: dict[str, Any] = {}
        self._classes: dict[str, type[S]] = {}
        for each in classes:
            self.add(each)

    def add(self, settings_class: type[S]) -> type[S]:
        """Put one more kind into the table; return its class, as a decorator does.

        A class that is defined anew, as in a notebook, takes the place of the one before.

        Raises:
            TypeError: It does not derive from the base, or declares no name.
            ValueError: The name is taken.
        """
        place = _place(settings_class)
        if not issubclass(settings_class, self.base):
            raise TypeError(f"{place}: a kind must derive from {self.base.__name__}")
        kind = settings_class.model_fields["kind"].default
        if not isinstance(kind, str):
            raise TypeError(f'{place}: a kind declares its name, kind: Literal["x"] = "x"')
        taken = self._classes.get(kind)
        if taken is not None and _place(taken) != place:
            raise ValueError(
                f"{place}: kind {kind} is {_place(taken)} already; give it another name"
            )
        self._classes[kind] = settings_class
        _forget()
        return settings_class

    def remove(self, kind: str) -> None:
        """Take a kind that came from outside out again."""
        del self._classes[kind]
        self._own.pop(kind, None)
        _forget()

    def __iter__(self) -> Iterator[type[S]]:
        """Yield the classes, the default's first."""
        return iter(self._classes.values())

    @property
    def default(self) -> str:
        """The kind that is meant where none is named."""
        return next(iter(self._classes))

    def class_of(self, section: Mapping[str, Any]) -> type[S] | None:
        """Return the class of a section as it is written; None: its kind is unknown.

        Raises:
            ConfigError: The kind is a dotted path that leads nowhere, or to something else.
        """
        kind = section.get("kind", self.default)
        if not isinstance(kind, str):
            return None
        if self._adapt is not None and (kind in self._own or kind not in self._classes):
            self._look_outside(kind)
        return self._classes.get(kind)

    def _look_outside(self, kind: str) -> None:
        """Put the kind that a path or an entry point leads to into the table, if it does."""
        path = brought(self._group).get(kind, kind) if self._group else kind
        if self._adapt is None or not is_path(path):
            return
        part = find(path)
        if kind not in self._own or self._own[kind] is not part:
            self._classes[kind] = load(self._adapt)(kind, part)
            self._own[kind] = part
            _forget()

    @property
    def own(self) -> Mapping[str, Any]:
        """What was found under dotted paths, by kind."""
        return self._own

    def having(self, field: str) -> list[str]:
        """Return the kinds that have a field."""
        return [kind for kind, each in self._classes.items() if field in each.model_fields]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Look the class up at every validation; what is dumped is the class that is there."""
        dump = core_schema.wrap_serializer_function_ser_schema(
            self._dump, info_arg=True, schema=core_schema.any_schema()
        )
        return core_schema.no_info_plain_validator_function(self.validate, serialization=dump)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """One of the kinds that are in the table now; all but the default must be named."""
        first, *others = (handler(each.__pydantic_core_schema__) for each in self)
        for each in others:
            each["required"] = ["kind", *each.get("required", [])]
        own = {
            "type": "object",
            "properties": {"kind": {"type": "string", "pattern": SCHEMA_PATTERN}},
            "required": ["kind"],
        }
        return {"oneOf": [first, *others, *([] if self._adapt is None else [own])]}

    def validate(self, value: Any) -> S:
        """Return the settings of a mapping, or settings of one of the kinds as they are.

        Raises:
            ValidationError: The kind is unknown, or a field is wrong or not one of the kind.
            ValueError: Settings of a class that is not in the table.
        """
        if isinstance(value, self.base):
            if self._adapt is not None and type(value) not in self._classes.values():
                value = {**value.model_dump(), "kind": path_of(type(value))}
                return self.validate(value)
            if type(value) not in self._classes.values():
                known = ", ".join(each.__name__ for each in self)
                raise ValueError(f"must be one of {known}, got {type(value).__name__}")
            return value
        if not isinstance(value, Mapping):
            return self.base.model_validate(value)  # says what it must be
        try:
            if self._adapt is not None and isinstance(value.get("kind"), type):
                value = {**value, "kind": path_of(value["kind"])}
            found = self.class_of(value)
        except ConfigError as error:
            problem = InitErrorDetails(
                type="value_error", loc=("kind",), input=value["kind"], ctx={"error": error}
            )
            raise ValidationError.from_exception_data(self.base.__name__, [problem]) from None
        if found is None:
            raise ValidationError.from_exception_data(
                self.base.__name__, [self._unknown_kind(value["kind"])]
            )
        try:
            return found.model_validate(dict(value))
        except ValidationError as error:
            problems = [self._named(found, problem) for problem in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(found.__name__, problems) from None

    def _dump(
        self, value: S, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> Any:
        """Return the fields as pydantic dumps them, and the kind also where defaults are left out.

        Only the default kind needs no name then.
        """
        dumped = handler(value)
        left_out = info.exclude_defaults or info.exclude_unset
        if not left_out or type(value) is self._classes[self.default]:
            return dumped
        return {"kind": type(value).model_fields["kind"].default, **dumped}

    def _unknown_kind(self, kind: Any) -> InitErrorDetails:
        *others, last = map(repr, self._classes)
        expected = f"{', '.join(others)} or {last}" if others else last
        return InitErrorDetails(
            type="literal_error", loc=("kind",), input=kind, ctx={"expected": expected}
        )

    def _named(self, settings_class: type[S], problem: Any) -> InitErrorDetails:
        """Return a problem anew; one of a field that the kind does not have names those it has."""
        error = problem["type"]
        loc, context = problem["loc"], problem.get("ctx", {})
        if error == "extra_forbidden" and len(loc) == 1:
            fields = [name for name in settings_class.model_fields if name != "kind"]
            having = self.having(loc[0])
            kind = settings_class.model_fields["kind"].default
            text = f"kind {kind} has no such setting; it has {', '.join(fields) or 'none'}"
            if having:
                text += f". {loc[0]} belongs to kind {' and '.join(having)}"
            context = {"fields": fields, "having": having}
            error = PydanticCustomError(NOT_OF_KIND, text, context)
        elif error not in _KNOWN_ERRORS:
            error = PydanticCustomError(error, problem["msg"], context)
        return InitErrorDetails(type=error, loc=loc, input=problem["input"], ctx=context)


def sections_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Return the settings classes that a field can hold, through unions, tuples and kinds."""
    held = list(_held((field.annotation, *field.metadata)))
    kinds = [each for each in held if isinstance(each, Kinds)]
    bases = [each.base for each in kinds]
    plain = [each for each in held if not isinstance(each, Kinds) and each not in bases]
    return plain + [each for table in kinds for each in table]


@until_a_kind_is_added
def kinds_in(settings_class: type[BaseModel]) -> tuple[tuple[str, Kinds[Any]], ...]:
    """Return every field of a schema that holds kinds: its dotted key and its table."""
    found: dict[tuple[str, Kinds[Any]], None] = {}
    for name, field in settings_class.model_fields.items():
        held = _held((field.annotation, *field.metadata))
        found |= dict.fromkeys((name, table) for table in held if isinstance(table, Kinds))
        for section in sections_of(field):
            found |= dict.fromkeys((f"{name}.{key}", table) for key, table in kinds_in(section))
    return tuple(found)


def section_at(data: dict[str, Any], key: str) -> dict[str, Any] | None:
    """Return the section of plain settings at a dotted key; None where there is none."""
    found: Any = data
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _place(settings_class: type[BaseModel]) -> str:
    return f"{settings_class.__module__}.{settings_class.__qualname__}"


def _held(annotations: tuple[Any, ...]) -> Iterator[type[BaseModel] | Kinds[Any]]:
    for each in annotations:
        if isinstance(each, Kinds) or (isinstance(each, type) and issubclass(each, BaseModel)):
            yield each
        else:
            yield from _held(get_args(each))
