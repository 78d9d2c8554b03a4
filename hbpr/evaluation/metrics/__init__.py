"""Metrics per user, as pure functions of the ranks of the held-out items.

Shapes: n users with something held out. Every function returns (n,) float64 in the order of
``ranks.users``. Ties: see `Ranks`. Which of them are reported, and under which names, says the
table `hbpr.names.METRICS`.
"""

from hbpr.evaluation.metrics.lists import hr_at_k, map_at_k, ndcg_at_k, precision_at_k, recall_at_k
from hbpr.evaluation.metrics.sums import PerUser
from hbpr.evaluation.metrics.whole import auc, mrr

__all__ = [
    "PerUser",
    "auc",
    "hr_at_k",
    "map_at_k",
    "mrr",
    "ndcg_at_k",
    "precision_at_k",
    "recall_at_k",
]
