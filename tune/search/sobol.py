"""A scrambled Sobol sequence over a space: points that leave no large hole."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.errors import SpaceError
from tune.space import Space

_BLOCK: Final = 256
_MAX_ROWS: Final = 1_000_000


class AllowedSobol:
    """The sequence of one seed, of which row n is always the same.

    Source:
        Joe & Kuo, SIAM J. Sci. Comput. 30(5), 2008; scrambling: Owen, J. Complexity 14(4), 1998.
    """

    def __init__(self, space: Space, seed: int) -> None:
        """Prepare a sequence; nothing is drawn yet.

        Args:
            space: What the rows are points of.
            seed: Seed of the scrambling.
        """
        self._space = space
        self._seed = seed
        self._engine: Any = None
        self._domains = {d.key: (i, d.domain) for i, d in enumerate(space.dimensions)}
        self._shares: NDArray[np.float64] = np.empty((0, len(space.dimensions)))
        self._allowed: list[int] = []
        self._seen = 0

    def row_of(self, number: int) -> int:
        """Return the row of the allowed point `number`, from 0.

        Raises:
            SpaceError: The constraints refuse nearly everything.
        """
        while len(self._allowed) <= number:
            if self._seen >= _MAX_ROWS:
                raise SpaceError(
                    f"constraints: the first {_MAX_ROWS:,} points of the sequence hold only "
                    f"{len(self._allowed):,} that are allowed. Loosen the constraints."
                )
            row = self._row(self._seen)
            if self._space.allows(self._space.at([float(share) for share in row])):
                self._allowed.append(self._seen)
            self._seen += 1
        return self._allowed[number]

    def param(self, row: int, key: str) -> Any:
        """Return a dimension's value in a row, as Optuna's journal holds it."""
        column, domain = self._domains[key]
        return domain.encode(domain.at(float(self._row(row)[column])))

    def _row(self, row: int) -> NDArray[np.float64]:
        while row >= len(self._shares):
            if self._engine is None:
                from scipy.stats import qmc

                self._engine = qmc.Sobol(len(self._domains), scramble=True, rng=self._seed)
            self._shares = np.concatenate([self._shares, self._engine.random(_BLOCK)])
        shares: NDArray[np.float64] = self._shares[row]
        return shares
