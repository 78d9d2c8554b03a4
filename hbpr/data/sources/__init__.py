"""Sources of data: one light file each, which imports its loader when it is called."""

from typing import Any, Final

from hbpr.data.sources.source import Source
from hbpr.tables import Table

#: The sources by the name that ``data.source`` uses.
SOURCES: Final[Table[Source]] = Table(
    {
        "movielens": "hbpr.data.sources.movielens:MOVIELENS",
        "ncf": "hbpr.data.sources.ncf:NCF",
        "online_retail": "hbpr.data.sources.online_retail:ONLINE_RETAIL",
        "coat": "hbpr.data.sources.coat:COAT",
        "table": "hbpr.data.sources.table:TABLE",
        "synthetic": "hbpr.data.sources.synthetic:SYNTHETIC",
        "memory": "hbpr.data.sources.memory:MEMORY",
    },
    adapt="hbpr.contracts.source:as_source",
    group="sources",
)


def _read(settings: Any) -> Any:
    """Read data unsplit, by the name that scripts know; see `hbpr.data.load.read_data`."""
    return SOURCES[settings.source].load(settings)


__all__ = ["SOURCES", "Source"]
