"""Baselines, which every model must beat: one file each, and a line in `BASELINES`."""

from typing import Final

from hbpr.baselines.baseline import Baseline, ChosenBaseline
from hbpr.models.ease import Ease
from hbpr.models.popularity import Popularity
from hbpr.tables import Table

#: The baselines that stand beside the winner of a study, by name.
BASELINES: Final[Table[Baseline]] = Table(
    {
        "popularity": "hbpr.baselines.popularity:POPULARITY",
        "ease": "hbpr.baselines.ease:EASE",
    }
)

__all__ = ["BASELINES", "Baseline", "ChosenBaseline", "Ease", "Popularity"]
