"""Ranking metrics over the whole catalogue or listed candidates."""

from hbpr.evaluation.evaluate import Evaluation, PairScorer, Scorer, evaluate, evaluate_part
from hbpr.evaluation.listed import ScorePairs, listed_ranks
from hbpr.evaluation.ranks import Ranks, ScoreBlock, held_out_ranks
from hbpr.evaluation.recommended import Beyond, Recommended

__all__ = [
    "Beyond",
    "Evaluation",
    "PairScorer",
    "Ranks",
    "Recommended",
    "ScoreBlock",
    "ScorePairs",
    "Scorer",
    "evaluate",
    "evaluate_part",
    "held_out_ranks",
    "listed_ranks",
]
