"""MovieLens 100k, ratings of 4 and more, parted at random."""

from typing import Final

from hbpr.reproductions.random_split import random_split_row
from hbpr.reproductions.row import Row

ROW: Final[Row] = random_split_row(
    "ml-100k",
    "MovieLens 100k, ratings of 4 and more: factorization above the closed forms",
    seen_as_positive=0.2,
)
