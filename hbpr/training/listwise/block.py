"""A block of users against its items: scores, loss and gradients.

Shapes: B users of the block, n of its items, N columns of its scores, m pairs, d latent size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hbpr.training.losses.blocks import Objective, Pairs, TopWeights, top_weighted

#: Scores of a tile: they stay in a core's second-level cache between the passes over them.
_TILE_BYTES: Final = 2**21
#: Users of a tile at least, so that the matrix products stay efficient.
LEAST_TILE_USERS: Final = 32
#: Numbers gathered at a time for the scores of single pairs.
_GATHERED: Final = 2**20


class Places(NamedTuple):
    """Some pairs of a block's users and items.

    Attributes:
        users: (m,) places among the block's users, rising.
        items: (m,) places among the block's items.
        weights: (m,) how often each counts.
    """

    users: Tensor
    items: Tensor
    weights: Tensor


class Sample(NamedTuple):
    """The columns of a block whose items are not all there.

    Attributes:
        items: (N,) distinct places among the block's items.
        counts: (N,) for how many items of the catalogue each stands.
    """

    items: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Block:
    """What a block's users, items and pairs are now.

    Attributes:
        users: (B, d) final vectors.
        items: (n, d) final vectors.
        biases: (n,) of the items.
        positives: Pairs to rank high.
        apart: Negative pairs that count more or less than once.
        sample: Columns that stand for the catalogue; None: every item of the block for itself.
        top: How positives near the top count more; None: all alike.
    """

    users: Tensor
    items: Tensor
    biases: Tensor
    positives: Places
    apart: Places
    sample: Sample | None
    top: TopWeights | None = None


class Gradients(NamedTuple):
    """Of the loss by a block's users (B, d), items (n, d) and biases (n, 1); the loss is ()."""

    loss: Tensor
    users: Tensor
    items: Tensor
    biases: Tensor


def gradients(block: Block, objective: Objective) -> Gradients:
    """Compute the loss of a block and its gradients, tile by tile."""
    found = Gradients(
        torch.zeros((), dtype=torch.float64, device=block.users.device),
        torch.empty_like(block.users),
        torch.zeros_like(block.items),
        torch.zeros_like(block.biases).unsqueeze(1),
    )
    work = _whole if block.sample is None else _sampled
    for part, positives, apart in _tiles(block):
        found.loss.add_(work(block, objective, found, part, positives, apart))
    return found


def _tiles(block: Block) -> Iterator[tuple[slice, Places, Places]]:
    """Users of each tile, with their pairs; their users are counted from the tile's first."""
    n_columns = len(block.items) if block.sample is None else len(block.sample.items)
    size = max(LEAST_TILE_USERS, _TILE_BYTES // (4 * n_columns))
    starts = torch.arange(0, len(block.users) + size, size, device=block.users.device)
    edges = [torch.searchsorted(p.users, starts).tolist() for p in (block.positives, block.apart)]
    for k, start in enumerate(range(0, len(block.users), size)):
        positives, apart = (
            Places(p.users[e[k] : e[k + 1]] - start, *(a[e[k] : e[k + 1]] for a in p[1:]))
            for p, e in zip((block.positives, block.apart), edges, strict=True)
        )
        yield slice(start, start + size), positives, apart


def _whole(
    block: Block,
    objective: Objective,
    to: Gradients,
    part: slice,
    positives: Places,
    apart: Places,
) -> Tensor:
    """Every item is a column: single pairs are read and written at their places."""
    own = block.users[part]
    tile = torch.addmm(block.biases, own, block.items.T)
    flat = tile.view(-1)
    at, at_apart = (pairs.users * tile.shape[1] + pairs.items for pairs in (positives, apart))
    single = [
        Pairs(pairs.users, flat[places], pairs.weights)
        for pairs, places in ((positives, at), (apart, at_apart))
    ]
    if block.top is not None:
        single[0] = top_weighted(single[0], tile, None, block.top)
    flat[at] = -torch.inf
    flat[at_apart] = -torch.inf
    found = objective(tile, None, *single)
    inverse = found.factors.clamp(min=1e-30).reciprocal_()
    flat[at] = found.positives * inverse[positives.users]
    flat[at_apart] = found.apart * inverse[apart.users]
    _add_products(tile, found.factors, own, block.items, (to.users[part], to.items, to.biases))
    return found.loss


def _sampled(
    block: Block,
    objective: Objective,
    to: Gradients,
    part: slice,
    positives: Places,
    apart: Places,
) -> Tensor:
    """Some items are columns: single pairs are scored, and moved, apart from them."""
    assert block.sample is not None
    own, columns = block.users[part], block.sample.items
    items = block.items.index_select(0, columns)
    tile = torch.addmm(block.biases[columns], own, items.T)
    flat = tile.view(-1)
    column_of = torch.full_like(block.biases, -1, dtype=torch.int64)
    column_of[columns] = torch.arange(len(columns), device=columns.device)
    single = [
        Pairs(pairs.users, _pair_scores(block, own, pairs), pairs.weights)
        for pairs in (positives, apart)
    ]
    if block.top is not None:
        single[0] = top_weighted(single[0], tile, block.sample.counts, block.top)
    for pairs in (positives, apart):
        column = column_of[pairs.items]
        drawn = column >= 0
        flat[pairs.users[drawn] * len(columns) + column[drawn]] = -torch.inf
    found = objective(tile, block.sample.counts, *single)
    to_items, to_biases = torch.zeros_like(items), items.new_zeros(len(items), 1)
    _add_products(tile, found.factors, own, items, (to.users[part], to_items, to_biases))
    to.items.index_add_(0, columns, to_items)
    to.biases.index_add_(0, columns, to_biases)
    for pairs, slopes in ((positives, found.positives), (apart, found.apart)):
        _add_pairs(block, own, pairs, slopes, (to.users[part], to.items, to.biases))
    return found.loss


def _add_products(
    tile: Tensor,
    factors: Tensor,
    users: Tensor,
    items: Tensor,
    to: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Write the gradient of the users, and add that of the items and biases."""
    scaled = factors.unsqueeze(1)
    torch.mm(tile, items, out=to[0])
    to[0].mul_(scaled)
    slopes = tile.T
    to[1].addmm_(slopes, users * scaled)
    to[2].addmm_(slopes, scaled)


def _pair_scores(block: Block, users: Tensor, pairs: Places) -> Tensor:
    scores = block.biases[pairs.items]
    for part in _chunks(pairs, users):
        met = users[pairs.users[part]].mul_(block.items[pairs.items[part]])
        scores[part] += met.sum(1)
    return scores


def _add_pairs(
    block: Block,
    users: Tensor,
    pairs: Places,
    slopes: Tensor,
    to: tuple[Tensor, Tensor, Tensor],
) -> None:
    for part in _chunks(pairs, users):
        of, items, slope = pairs.users[part], pairs.items[part], slopes[part].unsqueeze(1)
        to[0].index_add_(0, of, block.items[items].mul_(slope))
        to[1].index_add_(0, items, users[of].mul_(slope))
        to[2].index_add_(0, items, slope)


def _chunks(pairs: Places, users: Tensor) -> Iterator[slice]:
    size = max(1, _GATHERED // users.shape[1])
    for start in range(0, len(pairs.users), size):
        yield slice(start, start + size)
