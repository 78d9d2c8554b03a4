"""One loss, metric, source and baseline as a package that is not hbpr would bring them.

`add` puts them into the tables; `NAMES` are theirs.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from hbpr.baselines import BASELINES, Baseline
from hbpr.data.interactions import UserItems
from hbpr.data.sources import SOURCES, Source
from hbpr.data.user_item import UserItemData
from hbpr.evaluation import Ranks, ScoreBlock
from hbpr.names import METRICS, Metric
from hbpr.settings.models import DataSettings
from hbpr.training.losses import LOSSES
from hbpr.training.losses.kind import LossKind


def squared_hinge(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    return (1.0 - (positive_B.unsqueeze(1) - negative_BN)).clamp(min=0.0).square().sum(1)


@njit(nogil=True)
def squared_hinge_gradient(positive: Any, negatives: Any, falls: Any, weights: Any) -> Any:
    rise, total = np.float32(0.0), 0.0
    for n in range(len(negatives)):
        gap = np.float32(1.0) - (positive - negatives[n])
        gap = np.float32(0.0) if gap < 0.0 else gap
        falls[n] = np.float32(2.0) * gap
        rise += falls[n]
        total += gap * gap
    return rise, total


def first_rank(ranks: Ranks) -> NDArray[np.float64]:
    return ranks.ranks[ranks.indptr[:-1]]


def two_camps(settings: DataSettings) -> UserItemData:
    """Even users like even items and odd ones odd items; each leaves some of the own camp out."""
    rng = np.random.default_rng(0)
    users, items = np.indices((60, 40)).reshape(2, -1)
    liked = (users % 2 == items % 2) & (rng.random(len(users)) < 0.7)
    data = UserItemData(settings.name)
    data.add_positive_interactions(users[liked], items[liked], times=np.flatnonzero(liked))
    return data


class Constant:
    """Scores an item by its number, times what validation chooses."""

    def __init__(self, train: UserItems, *, sign: float) -> None:
        self._scores = (sign * np.arange(train.n_items)).astype(np.float32)

    def block_scorer(self) -> ScoreBlock:
        return lambda users: np.tile(self._scores, (len(users), 1))


ENTRIES: list[tuple[Any, str, Any]] = [
    (LOSSES, "squared_hinge", LossKind(squared_hinge, squared_hinge_gradient)),
    (LOSSES, "squared_hinge_torch", LossKind(squared_hinge)),
    (METRICS, "first_rank", Metric("rank", first_rank, takes_k=False, higher_is_better=False)),
    (SOURCES, "two_camps", Source(two_camps, defaults={"name": "camps"})),
    (BASELINES, "constant", Baseline("by number", Constant, grid=[{"sign": 1.0}, {"sign": -1.0}])),
]


def add() -> None:
    for table, name, entry in ENTRIES:
        table.add(name, entry)


def remove() -> None:
    for table, name, _ in ENTRIES:
        table.remove(name)
