"""Lists that do not say the same thing ten times."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.inference.top_k import Lists

#: Items that a place of the list is chosen from, for each of its places, and at least.
_POOL_PER_PLACE: Final = 10
_LEAST_POOL: Final = 100


def pool_size(k: int) -> int:
    """Return how many of the best items a diverse list of k is chosen from."""
    return max(_LEAST_POOL, _POOL_PER_PLACE * k)


def diversify(pools: Lists, vectors_Id: NDArray[np.float32], k: int, diversity: float) -> Lists:
    """Choose k of each list, one after the other, by maximal marginal relevance.

    Each place takes the item with the highest ``(1 - diversity) * relevance - diversity *
    likeness``: relevance is the score brought to 0..1 within the pool, likeness the highest cosine
    to an item above.

    Args:
        pools: Lists of the best items, best first.
        vectors_Id: (I, d) item vectors.
        k: Length of a list.
        diversity: 0 (the order of the scores) to 1 (likeness alone).

    Returns:
        The chosen items with their scores, in the order chosen.

    Source:
        Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents
        and producing summaries", SIGIR 1998.
    """
    parts = []
    for which in np.unique(pools.lists):
        mine = pools.lists == which
        items, scores = pools.items[mine], pools.scores[mine]
        chosen = _choose(scores, _unit(vectors_Id[items]), k, diversity)
        ranks = np.arange(1, len(chosen) + 1)
        parts.append((np.full(len(chosen), which), items[chosen], scores[chosen], ranks))
    if not parts:
        return pools
    return Lists(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _choose(
    scores: NDArray[np.float32], unit_nd: NDArray[np.float32], k: int, diversity: float
) -> NDArray[np.int64]:
    spread = float(scores[0] - scores[-1]) or 1.0
    value = (1.0 - diversity) * (scores - scores[-1]) / spread
    nearest = np.full(len(scores), -np.inf, np.float32)
    left = np.ones(len(scores), bool)
    chosen = [0]  # the best one; nothing stands above it
    left[0] = False
    while len(chosen) < min(k, len(scores)):
        np.maximum(nearest, unit_nd @ unit_nd[chosen[-1]], out=nearest)
        gains = np.where(left, value - diversity * nearest, -np.inf)
        chosen.append(int(gains.argmax()))
        left[chosen[-1]] = False
    return np.array(chosen, np.int64)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, np.float32(1.0)), np.float32)
