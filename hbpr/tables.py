"""Tables of what can be added by one file: its entries, by the names that settings use."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hbpr.entry_points import brought
from hbpr.parts import SCHEMA_PATTERN, find, is_path, path_of

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

T = TypeVar("T")


class Table(Mapping[str, T]):
    """Entries by name, each imported when it is first asked for: a table costs nothing to import.

    A table is also the type of a setting that names one of its entries: ``Annotated[str, TABLE]``.
    It is looked up at every validation, so what is added later is accepted too. With `adapt` so are
    dotted paths, objects that have one, and what installed packages bring (see `hbpr.parts`).

    Args:
        entries: Each an entry, or where it is, as ``module:attribute``.
        adapt: Where the function is, as ``module:attribute``, that makes an entry of a name and
            what was found under it, or raises ConfigError.
        group: Entry points ``hbpr.GROUP`` of installed packages are entries.

    Example:
        >>> roots = Table({"square": "math:sqrt"})
        >>> roots.add("whole", "math:isqrt")
        >>> list(roots), roots["whole"](27)
        (['square', 'whole'], 5)
    """

    def __init__(
        self, entries: Mapping[str, T | str], *, adapt: str | None = None, group: str | None = None
    ) -> None:
        self._entries: Final = dict(entries)
        self._adapt, self._group = adapt, group
        self._added: dict[str, T | str] = {}
        self._adapted: dict[str, tuple[Any, T]] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            return self._from_outside(name)
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = load(entry)
        return entry

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from (name for name in self._brought() if name not in self._entries)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._brought()  # without importing it

    def __hash__(self) -> int:
        return id(self)

    def add(self, name: str, entry: T | str) -> None:
        """Put in one more entry: do it where a module of yours is imported.

        The processes of a study get it from the one that started it.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{name} is in the table already; give the new entry another name")
        self._entries[name] = self._added[name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out again."""
        del self._entries[name]
        self._added.pop(name, None)

    @property
    def added(self) -> Mapping[str, T | str]:
        """What was added, by name."""
        return self._added

    @property
    def adapted(self) -> Collection[str]:
        """The paths, and names of entry points, that have led to entries."""
        return self._adapted.keys()

    def _brought(self) -> Mapping[str, str]:
        return brought(self._group) if self._group else {}

    def _from_outside(self, name: str) -> T:
        """Return the entry that a path or an entry point leads to, made anew if that has changed.

        Raises:
            KeyError: The name is neither.
            ConfigError: It leads nowhere, or to something else.
        """
        path = self._brought().get(name, name)
        if self._adapt is None or not is_path(path):
            raise KeyError(name)
        part = find(path)
        if name not in self._adapted or self._adapted[name][0] is not part:
            self._adapted[name] = part, load(self._adapt)(name, part)
        return self._adapted[name][1]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> "JsonSchemaValue":
        names = {"type": "string", "enum": list(self)}
        if self._adapt is None:
            return names
        return {"anyOf": [names, {"type": "string", "pattern": SCHEMA_PATTERN}]}

    def _validate(self, value: Any) -> str:
        from pydantic_core import PydanticKnownError

        if self._adapt is not None and not isinstance(value, str) and _may_be_part(value):
            value = path_of(value)
        if isinstance(value, str) and value in self._entries:
            return value
        if isinstance(value, str) and self._adapt is not None:
            with suppress(KeyError):
                self._from_outside(value)
                return value
        *others, last = map(repr, self)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise PydanticKnownError("literal_error", {"expected": expected})


def _may_be_part(value: object) -> bool:
    return not isinstance(value, int | float | list | tuple | dict | type(None))


def load(path: str) -> Any:
    """Import what ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
