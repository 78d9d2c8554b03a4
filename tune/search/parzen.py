"""A tree-structured Parzen estimator for studies that stop most trials early, over conditions.

It differs from Optuna's in what early stopping makes of a study: many trials that ended after an
epoch or two. Stopped and finished trials are ranked together by their best value, numbers keep
their order, and every third draw is random, which under early stopping costs next to nothing and
keeps one early success from shutting out whole loss functions. A draw does not cost more late than
early.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import logsumexp, ndtr, ndtri

from tune.search.fixed import UnsearchedSampler
from tune.space import Space
from tune.space.dimensions import Dimension
from tune.space.domains import Choice, is_number

#: Share of the trials that count as good, and how many of them at most.
_GOOD_SHARE: Final = 0.1
_MOST_GOOD: Final = 25
#: Of the other trials, so many at most are compared with; more would cost time and tell little.
_MOST_OTHERS: Final = 250
#: Points that are compared for one draw.
_CANDIDATES: Final = 256
#: Every so many draws, one is random: the share of BOHB.
_RANDOM_EVERY: Final = 3
#: Width of the kernel of one good trial, and of one other, as a share of a range, in a space of one
#: dimension: wide, since early values are a noisy hint, and wider round what is good. It grows
#: with the root of the number of dimensions, as distances between points do, and shrinks with the
#: number of trials as Scott's rule has it.
_GOOD_WIDTH: Final = 0.2
_OTHER_WIDTH: Final = 0.12
#: Share of a choice's kernel that is spread over all its values.
_SPREAD: Final = 0.3
#: The uniform density counts as one trial, in both estimates.
_PRIOR: Final = 1.0


class Parzen:
    """What the draws of one study share: the trials as numbers, read once each.

    A point is a row with one place a dimension: of a range and of a list of ascending numbers 0 to
    1 on its own scale, of another choice the index of its value, and NaN of an inactive one.

    Args:
        space: The study's space.
        n_startup: Ended trials before which all draws are random.

    Source:
        Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011: the estimator.
        Falkner et al., BOHB, ICML 2018, arXiv:1807.01774: one joint density, the random share.
    """

    def __init__(self, space: Space, *, n_startup: int) -> None:
        self.space = space
        self._axes = [_Axis.of(dimension) for dimension in space.dimensions]
        self._n_startup = n_startup
        self._open: set[int] = set()  # numbers of the trials that had not ended
        self._n_seen = 0
        #: What ended with a value, the best first: its value with the sign turned, number and row.
        self._ranked: list[tuple[float, int, np.ndarray]] = []
        self._failed: list[tuple[int, np.ndarray]] = []

    def sampler(self, number: int, seed: int) -> BaseSampler:
        """Return the sampler of trial `number`, from 0."""
        return _ParzenSampler(self, number, seed)

    def draw(self, study: Study, number: int, generator: np.random.Generator) -> dict[str, Any]:
        """Draw a point: dotted key -> value of the dimensions that are active in it."""
        running = self._read(study)
        ranked = [row for _, _, row in self._ranked]
        if len(ranked) < self._n_startup or number % _RANDOM_EVERY == _RANDOM_EVERY - 1:
            return self._point(self._uniform(1, generator)[0])
        n_good = min(math.ceil(_GOOD_SHARE * len(ranked)), _MOST_GOOD)
        others = [*ranked[n_good:], *(row for _, row in self._failed), *running]
        if len(others) > _MOST_OTHERS:
            kept = generator.choice(len(others), _MOST_OTHERS, replace=False)
            others = [others[i] for i in kept]
        good_KD = np.array(ranked[:n_good])
        others_ND = np.array(others)
        width = _width(good_KD, _GOOD_WIDTH)
        candidates_CD = self._near(good_KD, width, generator)
        gain_C = self._log_density(candidates_CD, good_KD, width)
        gain_C -= self._log_density(candidates_CD, others_ND, _width(others_ND, _OTHER_WIDTH))
        for i in np.argsort(-gain_C, kind="stable"):
            point = self._point(candidates_CD[i])
            if self.space.allows(point):
                break
        return point

    def _read(self, study: Study) -> list[np.ndarray]:
        """Read the trials that ended since the last draw; return the rows of those that run.

        What has ended is looked at once: a draw after thousands of trials costs as much as an
        early one.
        """
        running = []
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        trials = study.get_trials(deepcopy=False)
        self._open.update(range(self._n_seen, len(trials)))
        self._n_seen = len(trials)
        for number in sorted(self._open):  # not as they came to their end
            trial = trials[number]
            if not trial.state.is_finished():
                if trial.params:
                    running.append(self._row(trial))
                continue
            self._open.discard(number)
            if trial.state == TrialState.PRUNED and not trial.intermediate_values:
                continue  # a budget ended it before it said anything
            value, row = _best(trial, sign), self._row(trial)
            if value is None:
                bisect.insort(self._failed, (number, row), key=itemgetter(0))
            else:
                bisect.insort(self._ranked, (-value, number, row), key=itemgetter(0, 1))
        return running

    def _row(self, trial: FrozenTrial) -> np.ndarray:
        values = self.space.decode(trial.params)
        return np.array(
            [
                axis.place(values[axis.dimension.key]) if axis.dimension.key in values else math.nan
                for axis in self._axes
            ]
        )

    def _point(self, row_D: np.ndarray) -> dict[str, Any]:
        shares = [axis.share(place) for axis, place in zip(self._axes, row_D, strict=True)]
        return self.space.at(shares)

    def _uniform(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw rows uniformly, conditions apart."""
        rows_CD = generator.random((count, len(self._axes)))
        for d, axis in enumerate(self._axes):
            if axis.n_values:
                rows_CD[:, d] = np.floor(rows_CD[:, d] * axis.n_values)
        return rows_CD

    def _near(
        self, good_KD: np.ndarray, width: float, generator: np.random.Generator
    ) -> np.ndarray:
        """Draw rows from the density of the good trials."""
        n_good, count = len(good_KD), _CANDIDATES
        uniform_CD = self._uniform(count, generator)
        rows_CD = np.empty_like(uniform_CD)
        centre_CD = good_KD[generator.integers(0, n_good, count)]
        prior_C = generator.random(count) < _PRIOR / (n_good + _PRIOR)
        for d, axis in enumerate(self._axes):
            centre_C, draw_C = centre_CD[:, d], generator.random(count)
            if axis.n_values:
                near_C = np.where(draw_C < _SPREAD, uniform_CD[:, d], centre_C)
            else:
                low_C, high_C = ndtr(-centre_C / width), ndtr((1.0 - centre_C) / width)
                inside_C = np.clip(low_C + draw_C * (high_C - low_C), 1e-12, 1.0 - 1e-12)
                near_C = np.clip(centre_C + width * ndtri(inside_C), 0.0, 1.0)
            taken_C = prior_C | np.isnan(centre_C)
            rows_CD[:, d] = axis.snapped(np.where(taken_C, uniform_CD[:, d], near_C))
        return self._masked(rows_CD)

    def _masked(self, rows_CD: np.ndarray) -> np.ndarray:
        """Put NaN where a dimension's conditions, as far as they name choices, do not hold."""
        at = {axis.dimension.key: d for d, axis in enumerate(self._axes)}
        for d, axis in enumerate(self._axes):
            for parent, allowed in axis.dimension.when:
                if isinstance(self._axes[at[parent]].dimension.domain, Choice):
                    places = self._axes[at[parent]].places_of(allowed)
                    holds_C = np.isin(rows_CD[:, at[parent]], places)
                    rows_CD[:, d] = np.where(holds_C, rows_CD[:, d], math.nan)
        return rows_CD

    def _log_density(self, rows_CD: np.ndarray, seen_ND: np.ndarray, width: float) -> np.ndarray:
        """Return the log of the joint density at some rows: a kernel a seen row, and the prior.

        A dimension that a row does not have does not count in it; of one that only a seen row does
        not have, that row says what the prior says.
        """
        n_seen = len(seen_ND)
        logs_CN = np.zeros((len(rows_CD), n_seen + 1))
        for d, axis in enumerate(self._axes):
            row_C1, seen_N = rows_CD[:, d, None], seen_ND[:, d]
            prior = -math.log(axis.n_values) if axis.n_values else 0.0
            if axis.n_values:
                spread = _SPREAD / axis.n_values
                kernel_CN = np.log(np.where(row_C1 == seen_N, 1.0 - _SPREAD + spread, spread))
            else:
                mass_N = ndtr((1.0 - seen_N) / width) - ndtr(-seen_N / width)
                scale_N = np.log(mass_N * width * math.sqrt(2.0 * math.pi))
                kernel_CN = -0.5 * ((row_C1 - seen_N) / width) ** 2 - scale_N
            kernel_CN = np.where(np.isnan(seen_N), prior, kernel_CN)
            kernel_CN = np.concatenate([kernel_CN, np.full_like(row_C1, prior)], axis=1)
            logs_CN += np.where(np.isnan(row_C1), 0.0, kernel_CN)
        weights_N = np.append(np.ones(n_seen), _PRIOR) / (n_seen + _PRIOR)
        return np.asarray(logsumexp(logs_CN + np.log(weights_N), axis=1))


@dataclass(frozen=True)
class _Axis:
    """A dimension as numbers.

    Attributes:
        dimension: Which.
        n_values: Values of a choice without an order; 0 of a choice with one, and of a range.
        n_levels: Values of a choice of ascending numbers; 0 of any other dimension.
    """

    dimension: Dimension
    n_values: int
    n_levels: int = 0

    @classmethod
    def of(cls, dimension: Dimension) -> "_Axis":
        domain = dimension.domain
        if not isinstance(domain, Choice):
            return cls(dimension, 0)
        values = domain.values
        if len(values) > 1 and all(map(is_number, values)) and list(values) == sorted(values):
            return cls(dimension, 0, len(values))
        return cls(dimension, len(values))

    def place(self, value: Any) -> float:
        """Return where a value lies."""
        share = self.dimension.domain.share(value)
        return math.floor(share * self.n_values) if self.n_values else share

    def share(self, place: float) -> float:
        """Return the share of the dimension, for `Space.at`, that has its value at a place."""
        if math.isnan(place):
            return 0.0
        if self.n_values:
            return (place + 0.5) / self.n_values
        return min(place, math.nextafter(1.0, 0.0))

    def snapped(self, place_C: np.ndarray) -> np.ndarray:
        """Return the places of the values that lie at some places."""
        n_levels = self.n_levels
        if not n_levels:
            return place_C
        return np.asarray((np.minimum(np.floor(place_C * n_levels), n_levels - 1) + 0.5) / n_levels)

    def places_of(self, values: Sequence[Any]) -> list[float]:
        """Return where those of some values lie that the dimension has."""
        domain = self.dimension.domain
        return [self.place(value) for value in values if domain.contains(value)]


class _ParzenSampler(UnsearchedSampler):
    """Draws for one trial; asked again, it draws anew."""

    def __init__(self, parzen: Parzen, number: int, seed: int) -> None:
        self._parzen = parzen
        self._number = number
        self._generator = np.random.default_rng(seed)
        self._random = RandomSampler(seed=seed)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all dimensions together, as Optuna's journal holds them."""
        space = self._parzen.space
        return space.encode(self._parzen.draw(study, self._number, self._generator))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw at random what only a given starting value made active."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _best(trial: FrozenTrial, sign: float) -> float | None:
    """Return the best value of a trial that ended, larger being better; None of one that failed."""
    values = [*trial.intermediate_values.values()]
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        values.append(trial.value)
    if not values or trial.state == TrialState.FAIL:
        return None
    return max(sign * value for value in values)


def _width(seen_ND: np.ndarray, share: float) -> float:
    n_seen, n_dimensions = seen_ND.shape
    return float(share * math.sqrt(n_dimensions) * n_seen ** (-1.0 / (n_dimensions + 4)))
