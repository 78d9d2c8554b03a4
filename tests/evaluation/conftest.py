"""Cases, and the definitions once more in plain Python, as slow as they read."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from hbpr.data.interactions import UserItems


@dataclass
class Table:
    """Scorer that looks up a (U, I) table; hands out copies, since blocks are overwritten."""

    scores: np.ndarray

    def block_scorer(self):
        return lambda users: self.scores[users]


@dataclass
class Case:
    scores: np.ndarray
    held_out: UserItems
    exclude: UserItems


def make_case(seed, *, n_users=40, n_items=12, levels=None, share=0.25, excluded=0.3):
    """Random scores, on `levels` distinct values where there shall be ties."""
    rng = np.random.default_rng(seed)
    shape = (n_users, n_items)
    if levels is None:
        scores = rng.permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    else:
        scores = rng.integers(0, levels, shape)
    kind = rng.choice(3, shape, p=[1 - share - excluded, share, excluded])
    held, seen = (
        UserItems.from_pairs(*np.nonzero(kind == k), n_users=n_users, n_items=n_items)
        for k in (1, 2)
    )
    return Case(scores.astype(np.float32), held, seen)


def ranks_of(scores, held_out, exclude):
    """Ranks of one user's held-out items, rising, and the number of candidates.

    The positions of h held-out items in a tie are averaged over every way to place them there.
    """
    held = set(held_out)
    candidates = [i for i in range(len(scores)) if i in held or i not in set(exclude)]
    ranks = []
    for value in sorted({scores[i] for i in held}, reverse=True):
        better = sum(scores[i] > value for i in candidates)
        tied = [i for i in candidates if scores[i] == value]
        n_held = sum(i in held for i in tied)
        places = list(combinations(range(1, len(tied) + 1), n_held))
        ranks += [better + sum(p[j] for p in places) / len(places) for j in range(n_held)]
    return ranks, len(candidates)


def metrics_of(ranks, n_candidates, k):
    """All metrics of one user."""
    n = len(ranks)
    listed = [(j, r) for j, r in enumerate(ranks, 1) if r <= k]
    ideal = sum(1 / math.log2(r + 1) for r in range(1, min(k, n) + 1))
    others = n_candidates - n
    return {
        "auc": 1 - sum(r - j for j, r in enumerate(ranks, 1)) / (n * others) if others else None,
        "mrr": 1 / ranks[0],
        "ndcg": sum(1 / math.log2(r + 1) for _, r in listed) / ideal,
        "precision": len(listed) / k,
        "recall": len(listed) / n,
        "hr": float(bool(listed)),
        "map": sum(j / r for j, r in listed) / min(k, n),
    }


@pytest.fixture(scope="session", name="table")
def _table():
    return Table


@pytest.fixture(scope="session", name="case")
def _case():
    return make_case


@pytest.fixture(scope="session", name="ranks_of")
def _ranks_of():
    return ranks_of


@pytest.fixture(scope="session", name="metrics_of")
def _metrics_of():
    return metrics_of
