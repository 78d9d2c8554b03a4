"""The vector of a user who was not in training, fitted to a history, in numpy alone.

Shapes: h items of the user, n others, d size of a vector.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Negatives that stand for all items the user does not have, and pairs compared at a time.
NEGATIVES: Final = 2048
PAIRS: Final = 2**21
#: A history that one vector can put in perfect order has no best vector without any L2.
LEAST_REGULARISATION: Final = 1e-3


@dataclass(frozen=True)
class Fitter:
    """Fits users' vectors to histories, the items held fixed; see `hbpr.inference.fold_in`.

    Attributes:
        vectors: (I, d) final item vectors.
        biases: (I,) item biases, or None.
        regularisation: L2 of a vector for each item of the history.
        cosine: Scores are cosines, trained by softmax; or else inner products, trained by pairs.
        temperature: Divides the scores.
        pool: Items that may stand against the history; None: all.
        seed: Of the draw of negatives where the catalogue is large.
    """

    vectors: NDArray[np.float32]
    biases: NDArray[np.float32] | None
    regularisation: float
    cosine: bool = False
    temperature: float = 1.0
    pool: NDArray[np.integer] | None = None
    seed: int = 0

    def fit(
        self, items: NDArray[np.integer], prior: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(d,) float32 final vector for (h,) distinct items; prior: the one before any history."""
        from scipy.optimize import minimize

        h = len(items)
        others, spread = others_of(items, len(self.vectors), self.pool, self.seed)
        # In float64: rounding would end the search for the minimum before it is there.
        vectors = self.vectors[np.concatenate([items, others])].astype(np.float64)
        biases = 0.0 if self.biases is None else self.biases[np.concatenate([items, others])]
        center = np.zeros(vectors.shape[1]) if prior is None else prior.astype(np.float64)
        start = center
        if self.cosine and prior is None:
            start = vectors[:h].mean(0)
        if len(others) == 0:
            return np.asarray(self._final(start)[0], np.float32)
        strength = 0.5 * h * max(self.regularisation, LEAST_REGULARISATION)

        def loss(user: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            final, back = self._final(user)
            scores = vectors @ final + biases
            lost, falls = _listwise(scores, h, spread) if self.cosine else _pairwise(scores, h)
            gap = user - center
            slope = back(falls @ vectors)
            return lost + strength * float(gap @ gap), slope + 2.0 * strength * gap

        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 30})
        return np.asarray(self._final(found.x)[0], np.float32)

    def _final(self, user: NDArray[np.float64]):  # type: ignore[no-untyped-def]
        """Return the vector that scores, and what brings its gradient back to the given one."""
        scale = 1.0 / self.temperature
        if not self.cosine:
            return user * scale, lambda slope: slope * scale
        length = float(np.linalg.norm(user)) or 1.0
        unit = user / length
        return unit * scale, lambda slope: (slope - (slope @ unit) * unit) * (scale / length)


def others_of(
    items: NDArray[np.integer], n_items: int, pool: NDArray[np.integer] | None, seed: int
) -> tuple[NDArray[np.int64], float]:
    """Return items that stand against a history, and how many of them all each stands for."""
    h = len(items)
    others = np.setdiff1d(np.arange(n_items) if pool is None else pool, items)
    n_others = max(1, min(NEGATIVES, PAIRS // h))
    spread = max(1.0, len(others) / n_others)
    if len(others) > n_others:
        others = np.random.default_rng(seed).choice(others, n_others, replace=False)
    return others.astype(np.int64), spread


def _pairwise(scores: NDArray[np.float64], h: int) -> tuple[float, NDArray[np.float64]]:
    """Sum over the first h scores of the mean of -log sigmoid(gap), and its gradient."""
    gaps_hn = scores[:h, None] - scores[None, h:]
    small_hn = np.exp(-np.abs(gaps_hn))  # of softplus and sigmoid alike, without overflow
    lost = float((np.maximum(-gaps_hn, 0.0) + np.log1p(small_hn)).mean(1).sum())
    wrong_hn = np.where(gaps_hn > 0, small_hn, 1.0) / (1.0 + small_hn)  # sigmoid(-gap)
    n = gaps_hn.shape[1]
    return lost, np.concatenate([-wrong_hn.mean(1), wrong_hn.sum(0) / n])


def _listwise(
    scores: NDArray[np.float64], h: int, spread: float
) -> tuple[float, NDArray[np.float64]]:
    """Sum over the first h scores of -log softmax among all, each other as so many, and slope."""
    weighted = scores.copy()
    weighted[h:] += math.log(spread)
    top = weighted.max()
    shares = np.exp(weighted - top)
    total = float(shares.sum())
    falls = h * shares / total
    falls[:h] -= 1.0
    return h * (top + math.log(total)) - float(scores[:h].sum()), falls
