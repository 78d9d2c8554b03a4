"""Models that score by weights from item to item: no torch is needed.

Shapes: U users, I items, B rows of a block.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features, UserItems
from hbpr.errors import DataError
from hbpr.inference.forms.form import Source
from hbpr.inference.top_k import BlockScorer

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class ItemItem:
    """Scores ``x @ weights`` of a user's row x, see `hbpr.inference.forms.form.Form`.

    Attributes:
        weights: (I, I) float32.
        rows: (U, I) what each known user has chosen, as ones.
    """

    weights: NDArray[np.float32]
    rows: UserItems

    def score_users(self, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """(B, I) scores of known users."""
        if len(users) == 1:
            return self._sum(self.rows.of(int(users[0])))
        return np.asarray(self._matrix()[users] @ self.weights, np.float32)

    def score_features(self, features: Features) -> NDArray[np.float32]:
        """Refuse, since features say nothing to it.

        Raises:
            DataError: Always.
        """
        raise no_features("an item-to-item model")

    def score_history(
        self, items: NDArray[np.int64], features: Features | None
    ) -> NDArray[np.float32]:
        """(1, I) scores of a user with some items."""
        if features is not None:
            raise no_features("an item-to-item model")
        return self._sum(items)

    def item_likeness(self) -> BlockScorer:
        """Partial correlations: the geometric mean of both weights, which have one sign."""

        def score(items: NDArray[np.integer]) -> NDArray[np.float32]:
            there, back = self.weights[items], self.weights[:, items].T
            return np.asarray(np.sign(there) * np.sqrt(np.maximum(there * back, 0.0)), np.float32)

        return score

    def user_likeness(self) -> BlockScorer:
        """Cosines of users' rows: shared items over the root of the product of their numbers."""
        matrix = self._matrix()
        lengths = np.sqrt(np.maximum(self.rows.counts, 1)).astype(np.float32)
        columns = matrix.T.tocsc()

        def score(users: NDArray[np.integer]) -> NDArray[np.float32]:
            shared = np.asarray((matrix[users] @ columns).toarray(), np.float32)
            return shared / lengths[users, None] / lengths

        return score

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, I) weights into each item, one a row."""
        return self.weights.T

    def _sum(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        return np.asarray(self.weights[items].sum(0, dtype=np.float32)[None], np.float32)

    def _matrix(self) -> "sp.csr_matrix":
        return UserItems(self.rows.indptr, self.rows.items, self.rows.n_items).to_csr()


def load_ease(source: Source) -> ItemItem:
    """Take the weights of a `hbpr.models.Ease`; users are scored by what they were trained with."""
    return ItemItem(np.asarray(source.weights["weights"], np.float32), source.data.train)


def no_features(what: str) -> DataError:
    """Say that a model knows users by their history alone."""
    return DataError(
        f"features: {what} knows a user by the items of that user alone; give a history, or train "
        "model.kind mf"
    )
