"""How much each searched setting mattered to each objective."""

import math
import warnings
from collections.abc import Sequence
from typing import Final, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from hbpr.tracking.records import TrialRecord
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.storage.journal import quiet_optuna

#: Of fewer trials, the best tenth is not even two; measured in docs/decisions/0013.
_LEAST = 20
_DIRECTIONS: Final[dict[str, StudyDirection]] = {
    "max": StudyDirection.MAXIMIZE,
    "min": StudyDirection.MINIMIZE,
}


def importance(
    trials: Sequence[TrialRecord], space: Space, goals: Goals
) -> dict[str, dict[str, float]]:
    """Return, for each objective, the share of each setting in what separates the best from all.

    The best are the tenth of the trials with the best values of that objective. Stopped trials
    count with the values of their best epoch; copies of a population do not, since their values are
    not those of their own settings alone. A setting that only some trials have is left out: its
    share cannot be compared with those of the others.

    Returns:
        Objective -> setting -> share, largest first, 1 together. An objective that too few trials
        have a value of is left out, and so is one whose best tenth cannot be separated from all.

    Source:
        Watanabe et al., PED-ANOVA, IJCAI 2023, arXiv:2304.10255; milliseconds for 1,000 trials.
    """
    found = {
        objective.metric: _shares(_told(trials, objective, goals), space, objective.mode)
        for objective in goals.objectives
    }
    return {metric: shares for metric, shares in found.items() if shares}


def _told(
    trials: Sequence[TrialRecord], objective: Objective, goals: Goals
) -> list[tuple[TrialRecord, float]]:
    """Return the trials that have a value of an objective, with it."""
    values = [
        (trial, trial.at_best.get(objective.metric) if goals.several else trial.value)
        for trial in trials
        if trial.parent is None
    ]
    return [
        (trial, value) for trial, value in values if value is not None and not math.isnan(value)
    ]


def _shares(
    judged: Sequence[tuple[TrialRecord, float]], space: Space, mode: Literal["max", "min"]
) -> dict[str, float]:
    ranked = sorted((value for _, value in judged), reverse=mode == "max")
    if len(judged) < _LEAST or ranked[math.ceil(0.1 * len(ranked)) - 1] == ranked[-1]:
        return {}
    domains = {
        dimension.key: dimension.domain.distribution()
        for dimension in space.dimensions
        if all(dimension.key in trial.values for trial, _ in judged)
    }
    if not domains:
        return {}
    verbosity = optuna.logging.get_verbosity()
    quiet_optuna()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study = optuna.create_study(
                direction=_DIRECTIONS[mode], storage=optuna.storages.InMemoryStorage()
            )
            for trial, value in judged:
                encoded = space.encode(trial.values)
                study.add_trial(
                    create_trial(
                        state=TrialState.COMPLETE,
                        params={key: encoded[key] for key in domains},
                        distributions=domains,
                        value=value,
                    )
                )
            return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    finally:
        optuna.logging.set_verbosity(verbosity)
