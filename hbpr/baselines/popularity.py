"""The same list for everyone: what every model must beat."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.baselines.baseline import Baseline
from hbpr.data.interactions import UserItems
from hbpr.evaluation.ranks import ScoreBlock


class Popularity:
    """Ranks items by the number of training users who chose them, the same for everyone.

    Attributes:
        scores: (I,) float32 number of users of each item.
    """

    def __init__(self, train: UserItems) -> None:
        self.scores = np.bincount(train.items, minlength=train.n_items).astype(np.float32)

    def block_scorer(self) -> ScoreBlock:
        """Return the scoring function, see `hbpr.evaluation.Scorer`."""

        def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.tile(self.scores, (len(users), 1))

        return score


POPULARITY: Final = Baseline("popularity", Popularity)
