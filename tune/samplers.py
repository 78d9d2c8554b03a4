"""Optuna samplers whose draw depends on seed, trial number and the trials known so far alone.

A study that was interrupted and resumed therefore suggests what it would have suggested anyway, and
random trials do not depend on the order in which others finish.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial

Algorithm = Literal["tpe", "random", "grid"]


class Samplers:
    """Makes the sampler of each trial."""

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        seed: int,
        num_trials: int,
        conditional: bool,
        points: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Prepare the samplers of one study.

        Args:
            algorithm: ``tpe``, ``random`` or ``grid``.
            seed: Seed of the study.
            num_trials: Trials of the study.
            conditional: Whether some dimension is missing from some trials.
            points: Points of a grid as Optuna's journal holds them.
        """
        self._algorithm = algorithm
        self._seed = seed
        self._n_startup = min(10, max(5, num_trials // 4))
        self._conditional = conditional
        self._points = points
        self._common = IntersectionSearchSpace(include_pruned=True)

    def of(self, number: int) -> BaseSampler:
        """Return the sampler of trial `number`, from 0."""
        if self._algorithm == "grid":
            return _PointSampler(self._points[number])
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._algorithm == "random":
            return RandomSampler(seed=seed)
        options: dict[str, Any] = {
            "seed": seed,
            "n_startup_trials": self._n_startup,
            "multivariate": True,
            "constant_liar": True,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            if self._conditional:
                return TPESampler(group=True, **options)
            return _FlatTPESampler(self._common, **options)


class _FlatTPESampler(TPESampler):
    """TPE over a space without conditions; the inferred space outlives the sampler of one trial.

    Inferring it anew from 1,000 trials takes as long as drawing from it.
    """

    def __init__(self, common: IntersectionSearchSpace, **options: Any) -> None:
        super().__init__(**options)
        self._common = common

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        space = self._common.calculate(study)
        return {name: values for name, values in space.items() if not values.single()}


class _PointSampler(BaseSampler):
    """Takes a given point."""

    def __init__(self, point: Mapping[str, Any]) -> None:
        self._point = point

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._point[param_name]
