"""EASE: a linear item-to-item model in closed form, hard to beat."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.models.recommender import Arrays, BlockScorer, PairScorer, VectorScorer
from hbpr.models.solved import SolvedRecommender

_MIB = 2**20


class Ease(SolvedRecommender):
    """Scores ``x_u @ B`` for a user's row of interactions, with item weights B of zero diagonal.

    B minimises ``||X - X B||² + regularisation ||B||²`` under ``diag(B) = 0``: with
    ``P = (X'X + regularisation I)⁻¹``, off the diagonal ``B[i, j] = -P[i, j] / P[j, j]``. Weights
    of interactions are left out: X holds ones. A user's vector is the row x_u, an item's the column
    of B, so d = I.

    Memory and time grow with the items alone, 16 I² bytes at the peak and I³ operations: about
    0.2 GB and two seconds for 3,700 items, 12 GB and some minutes for 27,000.

    Args:
        train: (U, I) interactions to learn from; their rows are what users are scored by.
        regularisation: L2 of the weights, above 0. Best values grow with the users; the paper's
            are 200 to 1000. Choose it on validation.
        memory_mib: Refuse above this much memory.

    Attributes:
        weights: (I, I) float32 item weights B, zero before `solve`.

    Raises:
        ConfigError: The regularisation is not above 0.
        DataError: There are more items than the memory allows.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, algorithm 1.
    """

    def __init__(
        self, train: UserItems, *, regularisation: float = 500.0, memory_mib: int = 16_384
    ) -> None:
        super().__init__(train)
        if not 0.0 < regularisation < np.inf:
            raise ConfigError(f"Ease: regularisation must be above 0, got {regularisation}")
        needed = 16 * train.n_items**2 / _MIB
        if needed > memory_mib:
            raise DataError(
                f"EASE needs {needed:,.0f} MiB for {train.n_items:,} items, and its memory_mib "
                f"allows {memory_mib:,}; raise it (model.memory_mib), keep fewer items, or leave "
                "ease out of model.kind; what ials and mf need grows with the interactions instead"
            )
        self._regularisation = regularisation
        self._rows = sp.csr_matrix(
            (np.ones(train.n_pairs, np.float32), train.items, train.indptr),
            shape=(train.n_users, train.n_items),
        )
        self.weights = np.zeros((train.n_items, train.n_items), np.float32)

    @classmethod
    def fit(cls, train: UserItems, **values: Any) -> Self:
        """Return a solved model; arguments and errors as for the class and `solve`."""
        model = cls(train, **values)
        model.solve()
        return model

    def solve(self, *, threads: int = 1) -> float:
        """Compute the weights; return ``||X - X B||² + regularisation ||B||²`` an interaction.

        Threads are those of the BLAS that scipy brings, see ``OMP_NUM_THREADS``.

        Raises:
            ConfigError: The regularisation is too small to invert.
        """
        self.weights, diagonal = _weights(self._rows, self._regularisation)
        # (e_j - b_j)' P⁻¹ (e_j - b_j) = 1 / P[j, j], which counts the regularisation once too often
        loss = (1.0 / diagonal - self._regularisation).sum()
        return float(loss / max(self._rows.nnz, 1))

    def block_scorer(self) -> BlockScorer:
        """Return a function that scores the whole catalogue for a block of users."""
        return lambda users_B: np.asarray(self._rows[users_B] @ self.weights)

    def pair_scorer(self) -> PairScorer:
        """Return a function that scores pairs: a sum over the items of each pair's user."""
        indptr, chosen = self._rows.indptr.astype(np.int64), self._rows.indices

        def score(
            users_n: NDArray[np.integer], items_n: NDArray[np.integer]
        ) -> NDArray[np.float32]:
            counts = indptr[users_n + 1] - indptr[users_n]
            ends = np.cumsum(counts)
            pairs = np.repeat(np.arange(len(users_n)), counts)
            entries = np.arange(len(pairs)) + np.repeat(indptr[users_n] - ends + counts, counts)
            weights = self.weights[chosen[entries], items_n[pairs]]
            return np.bincount(pairs, weights, len(users_n)).astype(np.float32)

        return score

    def vector_scorer(self) -> VectorScorer:
        """Return a function from (B, I) rows of interactions to (B, I) scores."""
        return lambda rows_BI: np.asarray(sp.csr_matrix(rows_BI) @ self.weights, np.float32)

    def known_vectors(self) -> NDArray[np.float32]:
        """(U, I) float32 rows of interactions."""
        return np.asarray(self._rows.toarray())

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, I) float32 columns of B, one a row."""
        return self.weights.T

    def neighbour_scorer(self) -> BlockScorer:
        """Return a function from (B,) item indices to their (B, I) partial correlations.

        ``-P[i, j] / sqrt(P[i, i] P[j, j])``: how two items go together beyond what all others say,
        and the geometric mean of ``B[i, j]`` and ``B[j, i]``, which have one sign.
        """

        def score(items_B: NDArray[np.integer]) -> NDArray[np.float32]:
            there, back = self.weights[items_B], self.weights[:, items_B].T
            return np.asarray(np.sign(there) * np.sqrt(np.maximum(there * back, 0.0)))

        return score

    def fold_in(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the (I,) row of a user with these items."""
        row = np.zeros(self.n_items, np.float32)
        row[items] = 1.0
        return row

    def arrays(self) -> Arrays:
        """Return the weights; `solve` makes new ones."""
        return {"weights": self.weights}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over weights."""
        self.weights = np.asarray(arrays["weights"], np.float32)


def _weights(
    rows: sp.csr_matrix, regularisation: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(I, I) weights B, and the (I,) diagonal of P."""
    gram = np.asarray((rows.T @ rows).astype(np.float64).todense(order="F"))
    gram[np.diag_indices_from(gram)] += regularisation
    factor, failed = scipy.linalg.lapack.dpotrf(gram, overwrite_a=True)
    if failed:
        raise ConfigError(f"Ease: regularisation {regularisation} is too small to invert; raise it")
    inverse, _ = scipy.linalg.lapack.dpotri(factor, overwrite_c=True)  # the upper triangle alone
    diagonal = inverse.diagonal().copy()
    upper = inverse.astype(np.float32, order="C")
    del gram, factor, inverse
    weights = np.triu(upper, 1)
    weights += weights.T.copy()
    weights /= -diagonal.astype(np.float32)
    return np.asarray(weights), diagonal
