"""The same list for everyone, as a baseline: what every model must beat."""

from typing import Final

from hbpr.baselines.baseline import Baseline
from hbpr.models.popularity import Popularity

POPULARITY: Final = Baseline("popularity", Popularity)
