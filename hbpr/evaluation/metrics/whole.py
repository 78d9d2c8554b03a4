"""Metrics of each user's whole ranking."""

import numpy as np

from hbpr.evaluation.metrics.sums import PerUser, position, sum_of
from hbpr.evaluation.ranks import Ranks


def auc(ranks: Ranks) -> PerUser:
    """Share of (held-out, other) pairs of candidates in the right order; a tie counts half.

    NaN for a user whose candidates are all held out: there is nothing to order.

    Source:
        Rendle et al., UAI 2009, section 5.2.
    """
    n_held_out = ranks.n_held_out
    others = ranks.n_candidates - n_held_out
    above = sum_of(ranks, ranks.ranks - position(ranks))
    share = np.full(ranks.n_users, np.nan)
    np.divide(above, n_held_out * others, out=share, where=others > 0)
    return 1.0 - share


def mrr(ranks: Ranks) -> PerUser:
    """One over the rank of the first held-out item."""
    return 1.0 / ranks.ranks[ranks.indptr[:-1]]
