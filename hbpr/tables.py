"""Tables of what can be added by one file: its entries, by the names that settings use."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

T = TypeVar("T")


class Table(Mapping[str, T]):
    """Entries by name, each imported when it is first asked for: a table costs nothing to import.

    A table is also the type of a setting that names one of its entries: ``Annotated[str, TABLE]``.
    It is looked up at every validation, so what is added later is accepted too.

    Args:
        entries: Each an entry, or where it is, as ``module:attribute``.

    Example:
        >>> roots = Table({"square": "math:sqrt"})
        >>> roots.add("whole", "math:isqrt")
        >>> list(roots), roots["whole"](27)
        (['square', 'whole'], 5)
    """

    def __init__(self, entries: Mapping[str, T | str]) -> None:
        self._entries: Final = dict(entries)

    def __getitem__(self, name: str) -> T:
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = load(entry)
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # without importing it

    def __hash__(self) -> int:
        return id(self)

    def add(self, name: str, entry: T | str) -> None:
        """Put in one more entry, for this process: do it where a module of yours is imported.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{name} is in the table already; give the new entry another name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out again."""
        del self._entries[name]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> "JsonSchemaValue":
        return {"type": "string", "enum": list(self)}

    def _validate(self, value: Any) -> str:
        from pydantic_core import PydanticKnownError

        if isinstance(value, str) and value in self._entries:
            return value
        *others, last = map(repr, self)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise PydanticKnownError("literal_error", {"expected": expected})


def load(path: str) -> Any:
    """Import what ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
