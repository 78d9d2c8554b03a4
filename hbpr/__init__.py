"""Hybrid Bayesian Personalized Ranking: data, models, training, evaluation and inference.

The names below are imported when they are first used: ``import hbpr`` alone loads neither torch
nor pandas. Those of a search are in `tune.api`, the one step upwards from this package: it is taken
when a search is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from hbpr.version import __version__ as __version__

if TYPE_CHECKING:
    from hbpr.data import UserItemData, load_movielens
    from hbpr.inference.system import RecommendationSystem
    from hbpr.models import MatrixFactorization, NeuMF
    from hbpr.pipeline import TrainingPipeline
    from tune.api.search import search
    from tune.api.study import Study
    from tune.space.objects import Choice, Integer, LogUniform, Uniform
    from tune.study.listen import TrialEnd, TrialReport

__all__ = [
    "Choice",
    "Integer",
    "LogUniform",
    "MatrixFactorization",
    "NeuMF",
    "RecommendationSystem",
    "Study",
    "TrainingPipeline",
    "TrialEnd",
    "TrialReport",
    "Uniform",
    "UserItemData",
    "load_movielens",
    "search",
]

_HOMES: Final = {
    "Choice": "tune.space.objects",
    "Integer": "tune.space.objects",
    "LogUniform": "tune.space.objects",
    "MatrixFactorization": "hbpr.models",
    "NeuMF": "hbpr.models",
    "RecommendationSystem": "hbpr.inference.system",
    "Study": "tune.api.study",
    "TrainingPipeline": "hbpr.pipeline",
    "TrialEnd": "tune.study.listen",
    "TrialReport": "tune.study.listen",
    "Uniform": "tune.space.objects",
    "UserItemData": "hbpr.data",
    "load_movielens": "hbpr.data",
    "search": "tune.api.search",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hbpr' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
