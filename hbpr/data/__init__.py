"""Interactions and features: from tables and datasets to the arrays that training reads."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hbpr.data.coat import load_coat
    from hbpr.data.interactions import Features, Interactions, UserItems
    from hbpr.data.load import load_data
    from hbpr.data.movielens import load_movielens
    from hbpr.data.ncf import load_ncf
    from hbpr.data.online_retail import load_online_retail
    from hbpr.data.synthetic import generate
    from hbpr.data.table import load_table
    from hbpr.data.user_item import UserItemData

__all__ = [
    "Features",
    "Interactions",
    "UserItemData",
    "UserItems",
    "generate",
    "load_coat",
    "load_data",
    "load_movielens",
    "load_ncf",
    "load_online_retail",
    "load_table",
]

#: Imported on first use: settings look at the table of sources, which needs no pandas.
_HOMES: Final = {
    "Features": "hbpr.data.interactions",
    "Interactions": "hbpr.data.interactions",
    "UserItemData": "hbpr.data.user_item",
    "UserItems": "hbpr.data.interactions",
    "generate": "hbpr.data.synthetic",
    "load_coat": "hbpr.data.coat",
    "load_data": "hbpr.data.load",
    "load_movielens": "hbpr.data.movielens",
    "load_ncf": "hbpr.data.ncf",
    "load_online_retail": "hbpr.data.online_retail",
    "load_table": "hbpr.data.table",
}

if not TYPE_CHECKING:  # a type checker shall see no other names

    def __getattr__(name: str) -> Any:
        """Import a public name on its first use."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
