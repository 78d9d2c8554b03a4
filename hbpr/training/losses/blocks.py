"""Losses of the listwise engine: of a tile of scores, with slopes by hand and in place.

A tile holds the scores of some users (rows) for a block's items (columns). Positives are scored
apart, with -inf at their places in the tile, so that a sampled column and a positive that is there
for certain can be told apart; so are negatives that count more or less than once.

Shapes: B users of a tile, N columns, m positives of these users, k negatives scored apart.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

_TINY: Final = 1e-30


class Pairs(NamedTuple):
    """Single scores of a tile's users.

    Attributes:
        rows: (m,) rows of the users, rising.
        scores: (m,) scores.
        weights: (m,) how often each counts.
    """

    rows: Tensor
    scores: Tensor
    weights: Tensor


class Slopes(NamedTuple):
    """What a loss makes of a tile.

    The slope at a place of the tile is what the tile now holds, times the row's factor.

    Attributes:
        loss: () sum over the positives.
        factors: (B,) of the rows, finite and not below 0.
        positives: (m,) slopes of the positives.
        apart: (k,) slopes of the negatives that were scored apart.
    """

    loss: Tensor
    factors: Tensor
    positives: Tensor
    apart: Tensor


class TopWeights(NamedTuple):
    """How positives near the top count more: `rank` is the place that lists end at, from 1."""

    rank: int
    temperature: float


def top_weighted(
    positives: Pairs, tile: Tensor, counts: Tensor | None, weights: TopWeights
) -> Pairs:
    """Multiply weights by ``sigmoid((score - the user's rank-th best score) / temperature)``.

    Slopes take the result for constant.

    Args:
        positives: Of the tile's users.
        tile: (B, N) scores of all columns, positives too where they are columns.
        counts: (N,) for how many items each column stands; None: one.
        weights: Rank and temperature.

    Source:
        Yang et al., "Breaking the top-K barrier: advancing top-K ranking metrics optimization in
        recommender systems", KDD 2025 (SL@K), with the quantile of every step.
    """
    best = tile.topk(min(weights.rank, tile.shape[1]), dim=1)
    if counts is None:
        edges = best.values[:, -1]
    else:  # the first column of the best that, with those before it, stands for so many items
        passed = counts[best.indices].cumsum(1) < weights.rank
        last = passed.sum(1, keepdim=True).clamp_(max=best.values.shape[1] - 1)
        edges = best.values.gather(1, last)[:, 0]
    ahead = (positives.scores - edges[positives.rows]) / weights.temperature
    return positives._replace(weights=positives.weights * torch.sigmoid(ahead))


def softmax(tile: Tensor, counts: Tensor | None, positives: Pairs, apart: Pairs) -> Slopes:
    """Cross-entropy of each positive among all items, the user's other positives included.

    Args:
        tile: (B, N) scores, -inf where a column does not count; overwritten.
        counts: (N,) for how many items each column stands; None: one.
        positives: Of the tile's users.
        apart: Negatives of the tile's users that no column stands for.

    Source:
        Wu et al., "On the effectiveness of sampled softmax loss for item recommendation",
        TOIS 42(4), 2024, with the whole catalogue, and all positives of a user in one row.
    """
    top = _top(tile, positives, apart)
    total = _exponentials(tile, counts, top)
    shares = (positives.scores - top[positives.rows]).exp_()
    total.index_add_(0, positives.rows, shares)
    of_apart = _add(total, top, apart)
    wanted = torch.zeros_like(total).index_add_(0, positives.rows, positives.weights)
    factors = wanted / total
    lost = (total.log() + top)[positives.rows] - positives.scores
    return Slopes(
        (positives.weights * lost).sum(),
        factors,
        shares.mul_(factors[positives.rows]).sub_(positives.weights),
        of_apart.mul_(factors[apart.rows]),
    )


def masked_softmax(tile: Tensor, counts: Tensor | None, positives: Pairs, apart: Pairs) -> Slopes:
    """Cross-entropy of each positive among itself and the negatives; arguments as `softmax`."""
    top = _top(tile, None, apart)
    total = _exponentials(tile, counts, top)
    of_apart = _add(total, top, apart)
    ahead = positives.scores - (total.log() + top)[positives.rows]
    rises = positives.weights * torch.sigmoid(-ahead)
    factors = torch.zeros_like(total).index_add_(0, positives.rows, rises)
    factors /= total.clamp_(min=_TINY)
    return Slopes(
        (positives.weights * softplus(-ahead)).sum(),
        factors,
        -rises,
        of_apart.mul_(factors[apart.rows]),
    )


def bpr(tile: Tensor, counts: Tensor | None, positives: Pairs, apart: Pairs) -> Slopes:
    """Mean over a positive's negatives of ``-log sigmoid(positive - negative)``.

    Exponentials are taken once a row: ``sigmoid(n - p) = exp(n) / (exp(n) + exp(p))``. Arguments as
    `softmax`.

    Source:
        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.
    """
    n_users, n_columns = tile.shape
    there = torch.ones(n_columns, device=tile.device) if counts is None else counts
    weights = tile.isfinite() * there
    top = _top(tile, positives, apart)
    _exponentials(tile, None, top)
    of_positives = (positives.scores - top[positives.rows]).exp_().clamp_(min=_TINY)
    of_apart = (apart.scores - top[apart.rows]).exp_()
    falls, rises = torch.zeros_like(of_apart), torch.empty_like(of_positives)
    loss = torch.zeros((), device=tile.device)
    ends, apart_ends = (
        torch.bincount(pairs.rows, minlength=n_users).cumsum(0).tolist()
        for pairs in (positives, apart)
    )
    first, apart_first = 0, 0
    for row, (end, apart_end) in enumerate(zip(ends, apart_ends, strict=True)):
        own, other = slice(first, end), slice(apart_first, apart_end)
        first, apart_first = end, apart_end
        negatives = torch.cat([tile[row], of_apart[other]])
        counting = torch.cat([weights[row], apart.weights[other]])
        each = of_positives[own].unsqueeze(1)
        sums = negatives + each
        passed = (negatives * counting) / sums
        share = positives.weights[own] / counting.sum().clamp(min=_TINY)
        loss += share @ (sums.div_(each).log_() @ counting)
        rises[own] = -share * passed.sum(1)
        slopes = share @ passed
        tile[row], falls[other] = slopes[:n_columns], slopes[n_columns:]
    return Slopes(loss, torch.ones_like(top), rises, falls)


def _top(tile: Tensor, positives: Pairs | None, apart: Pairs) -> Tensor:
    """(B,) highest score of each row, finite also where nothing counts."""
    top = tile.amax(1)
    for pairs in (positives, apart):
        if pairs is not None and len(pairs.rows):
            top.scatter_reduce_(0, pairs.rows, pairs.scores, "amax")
    return top.clamp_(min=-1e30)


def _exponentials(tile: Tensor, counts: Tensor | None, top: Tensor) -> Tensor:
    """Put ``count * exp(score - top)`` in place of the scores; return the (B,) sums."""
    tile.sub_(top.unsqueeze(1)).exp_()
    if counts is not None:
        tile.mul_(counts)
    return tile.sum(1)


def _add(total: Tensor, top: Tensor, pairs: Pairs) -> Tensor:
    """Add what single negatives weigh to the sums; return it."""
    shares = (pairs.scores - top[pairs.rows]).exp_().mul_(pairs.weights)
    total.index_add_(0, pairs.rows, shares)
    return shares


#: (tile, counts, positives, apart) to slopes.
Objective = Callable[[Tensor, Tensor | None, Pairs, Pairs], Slopes]
