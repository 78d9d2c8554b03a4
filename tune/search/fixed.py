"""Optuna samplers that are told what to take, and what all of ours have in common."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class UnsearchedSampler(BaseSampler):
    """Base of samplers that know their space, so that Optuna searches no trials for it."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: the study's space says what is drawn."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: each dimension is drawn when it is asked for."""
        return {}


class PointSampler(UnsearchedSampler):
    """Takes a given point."""

    def __init__(self, point: Mapping[str, Any]) -> None:
        self._point = point

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the point's value."""
        return self._point[param_name]
