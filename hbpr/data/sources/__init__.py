"""Sources of data: one light file each, which imports its loader when it is called."""

from typing import Final

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
    }
)

__all__ = ["SOURCES", "Source"]
