"""Optuna samplers whose draw depends on seed, trial number and the trials known so far alone.

A study that was interrupted and resumed therefore suggests what it would have suggested anyway, and
random trials do not depend on the order in which others finish.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from tune.search.fixed import PointSampler, UnsearchedSampler
from tune.search.parzen import Parzen
from tune.search.sobol import AllowedSobol
from tune.space import Space

_DRAWS: Final = 32

Algorithm = Literal["tpe", "gp", "cmaes", "nsga2", "qmc", "random", "grid"]


class Samplers:
    """Makes the samplers of each trial."""

    def __init__(
        self,
        algorithm: Algorithm,
        space: Space,
        *,
        seed: int,
        num_trials: int,
        plain: bool = True,
    ) -> None:
        """Prepare the samplers of one study.

        Args:
            algorithm: What decides.
            space: The study's space.
            seed: Seed of the study.
            num_trials: Trials of the study.
            plain: Whether one objective without limits is compared.
        """
        self._algorithm = algorithm
        self._seed = seed
        self._n_startup = min(12, max(5, num_trials // 4))
        self._population = min(50, max(8, num_trials // 10))
        self._parzen = (
            Parzen(space, n_startup=self._n_startup) if algorithm == "tpe" and plain else None
        )
        self._points: Sequence[Mapping[str, Any]] = ()
        self._sequence: AllowedSobol | None = None
        if algorithm == "grid":
            self._points = [space.encode(point) for point in space.grid()]
        elif algorithm == "qmc":
            self._sequence = AllowedSobol(space, seed)

    @property
    def draws(self) -> int:
        """How often a sampler may be asked again when the constraints refuse its draw.

        A Gaussian process takes a second a draw, and draws nearly the same again.
        """
        return 1 if self._algorithm == "gp" else _DRAWS

    def seed_of(self, number: int) -> int:
        """Return the seed of trial `number`, from 0."""
        return int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])

    def of(self, number: int) -> BaseSampler:
        """Return the sampler of trial `number`, from 0."""
        seed = self.seed_of(number)
        if self._algorithm == "grid":
            return PointSampler(self._points[number])
        if self._sequence is not None:
            return _SequenceSampler(self._sequence, number)
        if self._parzen is not None:
            return self._parzen.sampler(number, seed)
        if self._algorithm == "random":
            return RandomSampler(seed=seed)
        if self._algorithm == "nsga2":
            return NSGAIISampler(seed=seed, population_size=self._population)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            if self._algorithm == "gp":
                return _OneThreadGPSampler(
                    seed=seed, n_startup_trials=self._n_startup, warn_independent_sampling=False
                )
            if self._algorithm == "cmaes":
                return CmaEsSampler(
                    seed=seed,
                    n_startup_trials=1,
                    consider_pruned_trials=True,
                    warn_independent_sampling=False,
                )
            return TPESampler(
                seed=seed,
                n_startup_trials=self._n_startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )


class _OneThreadGPSampler(GPSampler):
    """On matrices of some dozen rows torch's threads cost three times what they do."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw with one thread."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().sample_relative(study, trial, search_space)
        finally:
            torch.set_num_threads(before)


class _SequenceSampler(UnsearchedSampler):
    """Takes a point of a sequence, and the points after it where it is asked again."""

    def __init__(self, sequence: AllowedSobol, number: int) -> None:
        self._sequence = sequence
        self._number = number
        self._row = -1

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Go on to the next point."""
        self._row = self._sequence.row_of(self._number) if self._row < 0 else self._row + 1

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the point's value."""
        return self._sequence.param(self._row, param_name)
