"""Ranking metrics over the whole catalogue or listed candidates."""

from hbpr.evaluation.evaluate import Evaluation, PairScorer, Scorer, evaluate, evaluate_part
from hbpr.evaluation.listed import ScorePairs, listed_ranks
from hbpr.evaluation.ranks import Ranks, ScoreBlock, held_out_ranks

__all__ = [
    "Evaluation",
    "PairScorer",
    "Ranks",
    "ScoreBlock",
    "ScorePairs",
    "Scorer",
    "evaluate",
    "evaluate_part",
    "held_out_ranks",
    "listed_ranks",
]
