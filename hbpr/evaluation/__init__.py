"""Ranking metrics over the whole catalogue, and the baseline to beat."""

from hbpr.evaluation.baselines import Popularity
from hbpr.evaluation.evaluate import Evaluation, Scorer, evaluate
from hbpr.evaluation.ranks import Ranks, ScoreBlock, held_out_ranks

__all__ = [
    "Evaluation",
    "Popularity",
    "Ranks",
    "ScoreBlock",
    "Scorer",
    "evaluate",
    "held_out_ranks",
]
