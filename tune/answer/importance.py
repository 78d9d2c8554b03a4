"""How much each searched setting matters at the winner, for each objective."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.tracking.findings import LEAST_TRIALS, Effect, Importance
from hbpr.tracking.records import TrialRecord
from tune.answer.ends import Ends, expected_ends
from tune.answer.surrogate import Surrogate
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.dimensions import Dimension

#: The process looks at so many trials: those with the best ends, and of the others a regular draw.
_MOST: Final = 250
#: Other values of a range that are looked at, in even steps.
_STEPS: Final = 8


def importance(
    trials: Sequence[TrialRecord], space: Space, goals: Goals, winner: int
) -> tuple[Importance, ...]:
    """Return, for each objective, what it costs to change one setting alone at the winner.

    The cost is the mean over the setting's other values, all choices or even steps of a range,
    while all else stays as the winner has it. Hardly any of these points was a trial, so a Gaussian
    process over all trials says what they would have come to, and how sure that is. A stopped trial
    counts with what it would have come to, and with its uncertainty. Copies of a population do not
    count, since their values are not those of their own settings alone.

    Args:
        trials: All of the study.
        space: The study's.
        goals: The study's.
        winner: Number of the winning trial.
    """
    best = next(trial for trial in trials if trial.number == winner)
    return tuple(_importance(trials, space, goals, each, best) for each in goals.objectives)


def _importance(
    trials: Sequence[TrialRecord],
    space: Space,
    goals: Goals,
    objective: Objective,
    winner: TrialRecord,
) -> Importance:
    judged, ends = _judged(trials, goals, objective)
    n_stopped = sum(trial.state != "COMPLETE" for trial in judged)
    found = Importance(objective.metric, len(judged), n_stopped)
    if len(judged) < LEAST_TRIALS or np.ptp(ends.values) == 0.0:
        return found
    sign = 1.0 if objective.mode == "max" else -1.0
    kept = _kept(sign * ends.values)
    surrogate = Surrogate.fit(
        space,
        [judged[row].values for row in kept],
        ends.values[kept],
        ends.covariance[np.ix_(kept, kept)],
    )
    effects = []
    for dimension in space.dimensions:
        others = _others(space, winner.values, dimension)
        if others:
            weights = np.array([1.0, *[-1.0 / len(others)] * len(others)])
            cost, deviation = surrogate.weighted([winner.values, *others], sign * weights)
            half = 1.96 * deviation
            effects.append(Effect(dimension.key, cost, cost - half, cost + half))
    effects.sort(key=lambda effect: -effect.cost)
    return Importance(objective.metric, len(judged), n_stopped, tuple(effects))


def _judged(
    trials: Sequence[TrialRecord], goals: Goals, objective: Objective
) -> tuple[list[TrialRecord], Ends]:
    """Return the trials that count for an objective, and their ends."""
    told = [t for t in trials if t.parent is None and t.state in ("COMPLETE", "PRUNED")]
    if goals.several:
        measured = [(trial, trial.at_best.get(objective.metric)) for trial in told]
        known = [(t, value) for t, value in measured if value is not None and math.isfinite(value)]
        return [trial for trial, _ in known], Ends.known([value for _, value in known])
    told = [t for t in told if t.value is not None and math.isfinite(t.value) and t.reports]
    return told, expected_ends(told) if told else Ends.known([])


def _kept(values: NDArray[np.float64]) -> list[int]:
    """Return the rows of the best half of `_MOST`, and a regular draw of the others."""
    order = [int(row) for row in np.argsort(-values, kind="stable")]
    half = _MOST // 2
    rest = order[half:]
    return order[:half] + rest[:: max(math.ceil(len(rest) / half), 1)]


def _others(space: Space, values: dict[str, Any], dimension: Dimension) -> list[dict[str, Any]]:
    """Return the winner with each other value of a setting; what that brings with it is halfway."""
    key, domain = dimension.key, dimension.domain
    if key not in values:
        return []
    listed = domain.points()
    if listed is None or len(listed) > _STEPS:
        listed = [domain.at((step + 0.5) / _STEPS) for step in range(_STEPS)]
    halfway = {each.key: each.domain.at(0.5) for each in space.dimensions}
    return [
        space.active({**halfway, **values, key: value})
        for value in listed
        if domain.encode(value) != domain.encode(values[key])
    ]
