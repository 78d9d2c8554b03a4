"""A Gaussian process over the points of a space, for what trials nobody ran would have come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from tune.space import Space

#: Prior of each hyperparameter's logarithm, mean and deviation, for values of deviation 1: how fast
#: values change along a dimension, the variance, and what other seeds would change.
_RATE, _VARIANCE, _NOISE = (0.7, 1.0), (1.0, 0.5), (-3.0, 1.0)


@dataclass(frozen=True)
class Surrogate:
    """A process that was fitted; `fit` makes it.

    Attributes:
        points: What it knows.
        rates: (D,) how fast values change along each dimension.
        scale: Mean and deviation of the values.
    """

    space: Space
    points: Sequence[dict[str, Any]]
    rates: NDArray[np.float64]
    variance: float
    scale: tuple[float, float]
    factor: NDArray[np.float64]
    solved: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        space: Space,
        points: Sequence[dict[str, Any]],
        values: NDArray[np.float64],
        covariance: NDArray[np.float64],
    ) -> "Surrogate":
        """Fit to (n,) values of points with (n, n) errors, beside the noise that all have.

        The kernel is ``exp(-sum of rate * gap^2)``; the gap of two choices, or of a setting that
        one point has and the other has not, is 1.

        Source:
            Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1 and
            equation 5.9; the largest posterior under log-normal priors of the hyperparameters.
        """
        mean, deviation = float(values.mean()), float(values.std()) or 1.0
        y, errors = (values - mean) / deviation, covariance / deviation**2
        gaps = _gaps(space, points, points)
        prior = np.array([_RATE] * len(gaps) + [_VARIANCE, _NOISE])
        same = np.eye(len(y))

        def cost(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            rates, variance, noise = np.exp(logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
            kernel = variance * np.exp(-np.tensordot(rates, gaps, 1))
            factor = np.linalg.cholesky(kernel + errors + (noise + 1e-8) * same)
            solved = scipy.linalg.cho_solve((factor, True), y)
            inner = np.outer(solved, solved) - scipy.linalg.cho_solve((factor, True), same)
            slopes = [
                -rate * float((inner * gap * kernel).sum())
                for rate, gap in zip(rates, gaps, strict=True)
            ]
            slopes += [float((inner * kernel).sum()), noise * float(np.trace(inner))]
            away = (logs - prior[:, 0]) / prior[:, 1]
            value = (
                0.5 * float(y @ solved)
                + float(np.log(np.diag(factor)).sum())
                + 0.5 * float(away @ away)
            )
            return value, -0.5 * np.array(slopes) + away / prior[:, 1]

        bounds = [(m - 4 * d, m + 4 * d) for m, d in prior]
        found = scipy.optimize.minimize(
            cost, prior[:, 0], jac=True, method="L-BFGS-B", bounds=bounds
        )
        rates, variance, noise = (
            np.exp(found.x[:-2]),
            float(np.exp(found.x[-2])),
            np.exp(found.x[-1]),
        )
        kernel = variance * np.exp(-np.tensordot(rates, gaps, 1))
        factor = np.linalg.cholesky(kernel + errors + (noise + 1e-8) * same)
        solved = scipy.linalg.cho_solve((factor, True), y)
        return cls(space, points, rates, variance, (mean, deviation), factor, solved)

    def weighted(
        self, points: Sequence[dict[str, Any]], weights: NDArray[np.float64]
    ) -> tuple[float, float]:
        """Return the mean and the deviation of a weighted sum of the values of some points."""
        mean, deviation = self.scale
        across = self._kernel(points, self.points)
        half = scipy.linalg.solve_triangular(self.factor, across.T @ weights, lower=True)
        inner = float(weights @ self._kernel(points, points) @ weights - half @ half)
        value = float(weights @ across @ self.solved) * deviation + float(weights.sum()) * mean
        return value, deviation * max(inner, 0.0) ** 0.5

    def _kernel(
        self, left: Sequence[dict[str, Any]], right: Sequence[dict[str, Any]]
    ) -> NDArray[np.float64]:
        gaps = _gaps(self.space, left, right)
        return np.asarray(self.variance * np.exp(-np.tensordot(self.rates, gaps, 1)))


def _gaps(
    space: Space, left: Sequence[dict[str, Any]], right: Sequence[dict[str, Any]]
) -> NDArray[np.float64]:
    """(D, n, m) squared distances along each dimension, 0 to 1."""
    gaps = np.ones((len(space.dimensions), len(left), len(right)))
    for each, dimension in zip(gaps, space.dimensions, strict=True):
        key, domain = dimension.key, dimension.domain
        has = np.array([[key in a and key in b for b in right] for a in left])
        lacks = np.array([[key not in a and key not in b for b in right] for a in left])
        each[lacks] = 0.0
        for row, column in zip(*np.nonzero(has), strict=True):
            each[row, column] = domain.gap(left[row][key], right[column][key]) ** 2
    return gaps
