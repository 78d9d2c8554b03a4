"""A source of data from outside: a `Source`, or its loader alone."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hbpr.data.sources.source import Source
from hbpr.errors import ConfigError, HbprError
from hbpr.parts import is_path, split

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.data import DataSettings

_FORM: Final = (
    "a source is a function of the settings in `data` that returns UserItemData or a data frame, "
    "or a hbpr.data.sources.Source"
)


def as_source(name: str, part: Any) -> Source:
    """Return a source whose facts are known.

    Of a loader alone it is not known what the data have: a split that they cannot meet is refused
    when they have been read.

    Raises:
        ConfigError: It is no source.
    """
    if isinstance(part, Source):
        return replace(part, load=_checked(name, part.load))
    if inspect.isclass(part) or not callable(part):
        raise ConfigError(f"{name}: {_FORM}, got {type(part).__name__} {part!r:.60}")
    try:
        inspect.signature(part).bind(None)
    except TypeError as error:
        raise ConfigError(
            f"{name}: {_FORM}; it cannot be called with the settings alone: {error}"
        ) from None
    own = split(name)[1] if is_path(name) else name
    return Source(
        _checked(name, part),
        defaults={"name": own},
        folds=lambda settings: (None,),
        has_lists=True,
    )


def _checked(
    name: str, load: "Callable[[DataSettings], Any]"
) -> "Callable[[DataSettings], UserItemData]":
    def read(settings: "DataSettings") -> "UserItemData":
        from hbpr.data.user_item import UserItemData

        found = load(settings)
        if isinstance(found, UserItemData):
            return found
        try:
            return UserItemData.from_frame(
                found, name=settings.name, rating_threshold=settings.rating_threshold
            )
        except HbprError as error:
            raise ConfigError(
                f"data.source: {name} returned {type(found).__name__}; {_FORM} with the columns "
                f"user and item: {error}"
            ) from error

    return read
