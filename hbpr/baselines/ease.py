"""A linear item-to-item model in closed form, hard to beat: what a searched model must face."""

from typing import Final

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from hbpr.baselines.baseline import Baseline
from hbpr.data.interactions import Interactions, UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation.ranks import ScoreBlock

#: More items than this take longer than a few seconds.
_MOST_ITEMS: Final = 5000


class Ease:
    """Scores ``x_u @ B`` for a user's row of interactions, with item weights B of zero diagonal.

    B minimises ``||X - X B||² + regularisation ||B||²`` under ``diag(B) = 0``: with
    ``P = (X'X + regularisation I)⁻¹``, off the diagonal ``B[i, j] = -P[i, j] / P[j, j]``. Weights
    of interactions are left out: X holds ones.

    Memory and time grow with the items alone, 16 I² bytes at the peak and I³ operations: about
    0.2 GB and two seconds for 3,700 items, 12 GB and some minutes for 27,000.

    Args:
        train: (U, I) interactions to learn from.
        regularisation: L2 of the weights, above 0. Best values grow with the users; the paper's
            are 200 to 1000. Choose it on validation.
        max_bytes: Refuse above this much memory.

    Attributes:
        weights: (I, I) float32 item weights B.

    Raises:
        ConfigError: The regularisation is not above 0, or too small to invert.
        DataError: There are more items than the memory allows.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, algorithm 1.
    """

    def __init__(
        self, train: UserItems, *, regularisation: float = 500.0, max_bytes: int = 16 * 2**30
    ) -> None:
        if not 0.0 < regularisation < np.inf:
            raise ConfigError(f"Ease: regularisation must be above 0, got {regularisation}")
        needed = 16 * train.n_items**2
        if needed > max_bytes:
            raise DataError(
                f"Ease: {train.n_items} items need {needed / 2**30:.1f} GiB, allowed are "
                f"{max_bytes / 2**30:.1f}; keep fewer items, or raise max_bytes"
            )
        self._rows = sp.csr_matrix(
            (np.ones(train.n_pairs, np.float32), train.items, train.indptr),
            shape=(train.n_users, train.n_items),
        )
        self.weights = _weights(self._rows, regularisation)

    def block_scorer(self) -> ScoreBlock:
        """Return the scoring function, see `hbpr.evaluation.Scorer`."""

        def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.asarray(self._rows[users] @ self.weights)

        return score


def _weights(rows: sp.csr_matrix, regularisation: float) -> NDArray[np.float32]:
    gram = np.asarray((rows.T @ rows).astype(np.float64).todense(order="F"))
    gram[np.diag_indices_from(gram)] += regularisation
    factor, failed = scipy.linalg.lapack.dpotrf(gram, overwrite_a=True)
    if failed:
        raise ConfigError(f"Ease: regularisation {regularisation} is too small to invert; raise it")
    inverse, _ = scipy.linalg.lapack.dpotri(factor, overwrite_c=True)  # the upper triangle alone
    diagonal = inverse.diagonal().astype(np.float32)
    upper = inverse.astype(np.float32, order="C")
    del gram, factor, inverse
    weights = np.triu(upper, 1)
    weights += weights.T.copy()
    weights /= -diagonal
    return np.asarray(weights)


def _left_out(data: Interactions) -> str | None:
    if data.n_items <= _MOST_ITEMS:
        return None
    return f"{data.n_items} items, and above {_MOST_ITEMS} it takes longer than a few seconds"


#: The grid is coarse, since a study pays for every point of it at its end. Reproductions of
#: published figures, which have the time, try finer ones: `hbpr.reproductions.baselines`.
EASE: Final = Baseline(
    "EASE",
    Ease,
    grid=[{"regularisation": value} for value in (50.0, 200.0, 800.0)],
    left_out=_left_out,
)
