"""Hybrid Bayesian Personalized Ranking: data, models, training, evaluation and inference.

The names below are imported when they are first used: ``import hbpr`` alone loads neither torch
nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from hbpr.version import __version__ as __version__

if TYPE_CHECKING:
    from hbpr.data import UserItemData, load_movielens
    from hbpr.inference.system import RecommendationSystem
    from hbpr.models import MatrixFactorization, NeuMF
    from hbpr.pipeline import TrainingPipeline

__all__ = [
    "MatrixFactorization",
    "NeuMF",
    "RecommendationSystem",
    "TrainingPipeline",
    "UserItemData",
    "load_movielens",
]

_HOMES: Final = {
    "MatrixFactorization": "hbpr.models",
    "NeuMF": "hbpr.models",
    "RecommendationSystem": "hbpr.inference.system",
    "TrainingPipeline": "hbpr.pipeline",
    "UserItemData": "hbpr.data",
    "load_movielens": "hbpr.data",
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
