"""Drawing a trial's values until the constraints allow them, before any is written down."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from hbpr.errors import SpaceError
from tune.space import Space

#: Points drawn at random, and how many allowed ones among them are compared.
_RANDOM_DRAWS: Final = 20_000
_COMPARED: Final = 64


def draw_allowed(
    space: Space,
    study: Study,
    trial: FrozenTrial,
    sampler: BaseSampler,
    fixed: Mapping[str, Any],
    *,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Draw the values of a trial that exists already; nothing is written.

    Where the constraints refuse what the sampler draws time and again, the nearest of some allowed
    points is taken.

    Args:
        space: Where from.
        study: What its sampler learns from.
        trial: The trial; samplers look at its id and number.
        sampler: Draws.
        fixed: Parameters that are given, as Optuna's journal holds them.
        draws: How often the sampler is asked.
        seed: Seed of the points that are taken instead.

    Returns:
        The parameters as Optuna's journal holds them; those of `fixed` that are active included.

    Raises:
        SpaceError: No allowed point was found.
    """
    values: dict[str, Any] = {}
    for _ in range(draws):
        draft = _Draft(study, trial, sampler, fixed)
        values = space.suggest(draft)  # type: ignore[arg-type]
        if space.allows(values):
            return draft.params
    allowed = space.allowed_points(
        random.Random(seed), _COMPARED, tries=_RANDOM_DRAWS, fixed=space.decode(fixed)
    )
    if not allowed:
        beside = f" beside {dict(fixed)}" if fixed else ""
        raise SpaceError(
            f"constraints: none of {_RANDOM_DRAWS:,} points drawn at random{beside} is allowed. "
            "Loosen the constraints, or narrow the dimensions."
        )
    return space.encode(min(allowed, key=lambda point: space.distance(point, values)))


class _Draft:
    """Asks a sampler as `optuna.trial.Trial` does, and keeps the answers to itself."""

    def __init__(
        self, study: Study, trial: FrozenTrial, sampler: BaseSampler, fixed: Mapping[str, Any]
    ) -> None:
        self.params: dict[str, Any] = {}
        self._study, self._trial, self._sampler, self._fixed = study, trial, sampler, fixed
        sampler.before_trial(study, trial)
        searched = sampler.infer_relative_search_space(study, trial)
        self._relative = sampler.sample_relative(study, trial, searched)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggest(name, CategoricalDistribution(choices))

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> Any:
        return self._suggest(name, IntDistribution(low, high, step=step, log=log))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> Any:
        return self._suggest(name, FloatDistribution(low, high, step=step, log=log))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._fixed:
            value = self._fixed[name]
        elif name in self._relative and distribution._contains(
            distribution.to_internal_repr(self._relative[name])
        ):
            value = self._relative[name]
        else:
            value = self._sampler.sample_independent(self._study, self._trial, name, distribution)
        self.params[name] = distribution.to_external_repr(distribution.to_internal_repr(value))
        return self.params[name]
