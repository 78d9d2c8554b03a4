"""The lists that an evaluation ranks first for each user, and what metrics of them need beside.

A list holds the best candidates of a user as the evaluation ranked them: what is excluded is in
none, what is held out may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from hbpr.contracts.metric import of_lists
from hbpr.data.interactions import Interactions, UserItems
from hbpr.errors import DataError
from hbpr.names import METRICS


@dataclass(frozen=True)
class Recommended:
    """Lists of n users over I items: what a metric of them is given.

    Attributes:
        items: (n, K) int32 items, best first, equal scores in catalogue order; -1 beyond the
            candidates of a user who has fewer than K.
        popularity: (I,) int64 users who have the item in the training part.
        n_learners: Users who have any item there.
        described: (I, Q) what describes each item, see `Interactions.described_items`; None where
            nothing does.
    """

    items: NDArray[np.int32]
    popularity: NDArray[np.int64]
    n_learners: int
    described: sp.csr_matrix | None = None

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue, I."""
        return len(self.popularity)

    def first(self, k: int) -> NDArray[np.int32]:
        """(n, k) heads of the lists, narrower where the lists are."""
        return self.items[:, :k]


@dataclass(frozen=True)
class Beyond:
    """Which metrics of recommended lists an evaluation adds, and what they look at.

    Attributes:
        metrics: Their names in `hbpr.names.METRICS`.
        train: (U, I) what counts as popularity.
        described: As in `Recommended`.
    """

    metrics: tuple[str, ...]
    train: UserItems
    described: sp.csr_matrix | None = None

    @classmethod
    def of(cls, metrics: Sequence[str], data: Interactions) -> Self | None:
        """Return what to add for a dataset; None where no metric is asked for.

        Raises:
            ConfigError: A name is none of such a metric.
            DataError: A metric compares items by what describes them, and nothing does.
        """
        check_described(metrics, data)
        names = of_lists(metrics)
        if not names:
            return None
        described = data.described_items if _of_features(names) else None
        return cls(tuple(names), data.train, described)

    def recommended(self, items: NDArray[np.int32]) -> Recommended:
        """Return (n, K) lists with what metrics of them look at."""
        popularity = np.bincount(self.train.items, minlength=self.train.n_items)
        n_learners = int(np.count_nonzero(self.train.counts))
        return Recommended(items, popularity, n_learners, self.described)


def check_described(metrics: Sequence[str], data: Interactions) -> None:
    """Refuse metrics that compare items by what describes them where nothing does.

    Raises:
        DataError: So it is; the message names the setting.
    """
    wanted = _of_features(of_lists(metrics))
    if wanted and data.described_items is None:
        raise DataError(
            f"{data.name}: {wanted[0]} compares items by the features that describe them, and "
            "these have none but themselves; set data.item_feature to metadata or both, or leave "
            f"{wanted[0]} out of training.metrics"
        )


def _of_features(metrics: Sequence[str]) -> list[str]:
    return [name for name in metrics if METRICS[name].needs_features]
