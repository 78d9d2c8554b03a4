"""A scheduler from outside: a class of settings that can make it."""

import inspect
from typing import Any, Final, Literal

from pydantic import Field, create_model

from hbpr.errors import ConfigError
from tune.schedulers.base import SchedulerSettings

_FORM: Final = "a scheduler is a class that derives from tune.schedulers.SchedulerSettings"


def as_scheduler(kind: str, part: Any) -> type[SchedulerSettings]:
    """Return the settings of a scheduler, named as settings name them.

    Args:
        kind: What settings call it: a path by which another process finds it again.
        part: What was found under that name.

    Raises:
        ConfigError: It is no scheduler, or cannot make one.
    """
    if not inspect.isclass(part) or not issubclass(part, SchedulerSettings):
        lacks = [] if hasattr(part, "make") else ["make"]
        got = part.__name__ if inspect.isclass(part) else f"{type(part).__name__} {part!r:.60}"
        raise ConfigError(
            f"{kind}: {_FORM}, got {got}{f', which lacks {lacks[0]}' if lacks else ''}"
        )
    if part.make is SchedulerSettings.make:
        raise ConfigError(
            f"{kind}: {part.__name__} lacks make of the contract; "
            "tune.schedulers.SchedulerSettings says what it returns"
        )
    description = (inspect.getdoc(part) or part.__name__).partition("\n")[0]
    named: dict[str, Any] = {"kind": (Literal[kind], Field(kind, description=description))}
    return create_model(
        part.__name__, __base__=part, __doc__=part.__doc__, __module__=part.__module__, **named
    )
