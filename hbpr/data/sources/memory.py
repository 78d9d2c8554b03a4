"""Data that were given in memory: nothing can be read again by their settings alone."""

from typing import Any, Final, NoReturn

from hbpr.data.sources.source import Source
from hbpr.errors import DatasetMissingError

#: Name of the source in `hbpr.data.sources.SOURCES`.
NAME: Final = "memory"


def _load(settings: Any) -> NoReturn:
    raise DatasetMissingError(
        f"data.source: the data {settings.name!r} were given in memory, and these settings alone "
        "cannot read them; give them from Python, or name a source such as table"
    )


#: A split by published parts and lists of candidates may have been added to them.
MEMORY: Final = Source(
    _load, defaults={"name": "data"}, folds=lambda settings: (None,), has_lists=True
)
