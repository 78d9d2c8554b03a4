"""EASE as a baseline: what a searched model must face."""

from typing import Final

from hbpr.baselines.baseline import Baseline
from hbpr.data.interactions import Interactions
from hbpr.models.ease import Ease

#: More items than this take longer than a few seconds.
_MOST_ITEMS: Final = 5000


def _left_out(data: Interactions) -> str | None:
    if data.n_items <= _MOST_ITEMS:
        return None
    return f"{data.n_items} items, and above {_MOST_ITEMS} it takes longer than a few seconds"


#: The grid is coarse, since a study pays for every point of it at its end. Reproductions of
#: published figures, which have the time, try finer ones: `hbpr.reproductions.baselines`.
EASE: Final = Baseline(
    "EASE",
    Ease.fit,
    grid=[{"regularisation": value} for value in (50.0, 200.0, 800.0)],
    left_out=_left_out,
)
