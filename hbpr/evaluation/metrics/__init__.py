"""Metrics, as pure functions of the ranks of the held-out items or of the recommended lists.

Shapes: n users with something held out. A function of ranks returns (n,) float64 in the order of
``ranks.users``, one of lists this or a single value. Ties: see `Ranks`. Which of them are reported,
and under which names, says the table `hbpr.names.METRICS`.
"""

from hbpr.evaluation.metrics.beyond import (
    arp_at_k,
    coverage_at_k,
    diversity_at_k,
    gini_at_k,
    novelty_at_k,
)
from hbpr.evaluation.metrics.lists import hr_at_k, map_at_k, ndcg_at_k, precision_at_k, recall_at_k
from hbpr.evaluation.metrics.sums import PerUser
from hbpr.evaluation.metrics.whole import auc, mrr

__all__ = [
    "PerUser",
    "arp_at_k",
    "auc",
    "coverage_at_k",
    "diversity_at_k",
    "gini_at_k",
    "hr_at_k",
    "map_at_k",
    "mrr",
    "ndcg_at_k",
    "novelty_at_k",
    "precision_at_k",
    "recall_at_k",
]
