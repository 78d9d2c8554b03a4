"""Interactions and features: from tables and datasets to the arrays that training reads."""

from hbpr.data.coat import load_coat
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.data.movielens import load_movielens
from hbpr.data.ncf import load_ncf
from hbpr.data.online_retail import load_online_retail
from hbpr.data.sources import load_data
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
