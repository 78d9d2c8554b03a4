"""Neighbours of an item or a user: never itself, and with less of what is popular.

Shapes: I items, B items of a block.
"""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError
from hbpr.inference.top_k import BlockScorer, Lists, top_k_of


def itself(n_items: int) -> UserItems:
    """(I, I) pairs of every item with itself: no item is its own neighbour."""
    return UserItems(np.arange(n_items + 1), np.arange(n_items, dtype=np.int32), n_items)


def popularity_penalty(train: UserItems, *, discount: float) -> NDArray[np.float32]:
    """What each item loses as a neighbour: ``discount * log(1 + n_j) / log(1 + max n)``.

    n_j is the number of users of item j in training. At discount 1 the most popular item must be
    as similar as can be to stand where an item that nobody chose stands with cosine 0.

    Args:
        train: (U, I) interactions that popularity is counted in.
        discount: The paper's tau, at least 0; 0 leaves cosines as they are.

    Returns:
        (I,) float32, from 0 to `discount`.

    Raises:
        ConfigError: The discount is below 0 or not finite.

    Source:
        Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, section 4.1: post-hoc,
        ``score - tau log prior``. Here the log is scaled to 0..1, the range of useful cosines.
    """
    if not 0.0 <= discount < np.inf:
        raise ConfigError(f"popularity_discount: must be at least 0 and finite, got {discount}")
    logs = np.log1p(np.bincount(train.items, minlength=train.n_items))
    return np.asarray(discount * logs / max(float(logs.max(initial=0.0)), 1e-9), np.float32)


def neighbours_of(
    likeness: BlockScorer,
    rows: NDArray[np.int64],
    n: int,
    k: int,
    penalty: NDArray[np.float32] | None = None,
) -> Lists:
    """Find the k others most like each of some items, or of some users.

    Args:
        likeness: From (B,) of them to (B, n) scores.
        rows: Whose neighbours are wanted, by index.
        n: How many there are.
        k: Length of a list.
        penalty: (n,) what each loses as a neighbour; None: nothing.
    """
    scorer = likeness if penalty is None else lambda rows: likeness(rows) - penalty
    return top_k_of(scorer, rows, n, k, exclude=itself(n))
