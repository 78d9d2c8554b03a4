"""Settings that were stored before, in today's form.

Strictness is for what people write. What was stored carries the number of its format beside it and
is brought up to date when it is read.

Formats:
    1: Before the number: a section holds the fields of all of its kinds.
    2: A section holds the fields of its own kind.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from hbpr.errors import FormatError
from hbpr.settings.kinds import kinds_in, section_at

#: What settings are stored in now.
FORMAT: Final = 2
#: Key of the number beside stored settings.
FORMAT_KEY: Final = "settings_format"


def up_to_date(
    raw: Mapping[str, Any], settings_class: type[BaseModel], stored_format: Any = None
) -> dict[str, Any]:
    """Return stored settings as they would be stored today; what was given is not changed.

    Args:
        raw: Plain values, as from JSON.
        settings_class: What they are settings of.
        stored_format: The number that was stored beside them; None: 1.

    Raises:
        FormatError: The format is none that is known here.
    """
    number = 1 if stored_format is None else stored_format
    if number not in range(1, FORMAT + 1):
        raise FormatError(
            f"the settings are of format {number!r}, and this hbpr reads up to {FORMAT}; read them "
            "with the hbpr that wrote them, or a newer one"
        )
    settings = copy.deepcopy(dict(raw))
    for migrate in _MIGRATIONS[number - 1 :]:
        migrate(settings, settings_class)
    return settings


def _own_kind_only(settings: dict[str, Any], settings_class: type[BaseModel]) -> None:
    """From 1 to 2: drop fields that only other kinds have."""
    for key, kinds in kinds_in(settings_class):
        section = section_at(settings, key)
        own = None if section is None else kinds.class_of(section)
        if section is not None and own is not None:
            for name in section.keys() - own.model_fields.keys():
                if kinds.having(name):
                    del section[name]


#: From each format to the next, in place.
_MIGRATIONS: Final[tuple[Callable[[dict[str, Any], type[BaseModel]], None], ...]] = (
    _own_kind_only,
)
