"""What held-out exposures stand for, where the log knows the probability of each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hbpr.data.assemble import Assembled
from hbpr.data.interactions import Judged
from hbpr.data.pairs import UserItems
from hbpr.data.sources.rules import JUDGED_CANDIDATES, JUDGED_SPLITS
from hbpr.data.split import Parts
from hbpr.errors import DataError
from hbpr.settings.models import Candidates, SplitSettings


def judged_parts(
    name: str, whole: Assembled, parts: Parts, split: SplitSettings, candidates: Candidates
) -> tuple[Judged | None, Judged | None]:
    """Return what validation and test say of a ranking; None where no propensities are known.

    A pair of propensity p that is drawn for a part with probability a, and for those before it
    (which are not ranked) with b, is in the part with probability ``p a / (1 - p b)`` if it is not
    in those before; its weight is the inverse. Where the split does not draw, p is that of the
    held-out rows. With candidates ``all`` observed negatives of earlier parts are ranked too, and
    are known for certain: they weigh 1.

    Raises:
        DataError: The split or the candidates do not tell the probability.
    """
    liked, rejected = whole.positive_propensities, whole.negative_propensities
    if liked is None and (rejected is None or not len(rejected)):
        return None, None
    if liked is None or rejected is None:
        raise DataError(f"{name}: give all interactions a propensity, or none")
    if split.kind not in JUDGED_SPLITS or candidates not in JUDGED_CANDIDATES:
        raise DataError(
            f"{name}: propensities go with data.split.kind {', '.join(JUDGED_SPLITS)} and "
            f"data.candidates {' or '.join(JUDGED_CANDIDATES)}, since else it is not known how "
            f"probable a held-out pair was, got {split.kind} and {candidates}; leave the "
            "propensities out"
        )
    found: list[Judged | None] = []
    for k in (1, 2):
        drawn = split.kind == "random" or (split.kind == "fixed" and k == 1)
        groups = [
            _weighted(pairs[: 3 if split.kind == "random" else 2], pairs[k], (rows, p), drawn=drawn)
            for pairs, rows, p in (
                (parts.positives, whole.positives, liked),
                (parts.negatives, whole.negatives, rejected),
            )
        ]
        if candidates == "all":
            groups += [(pairs, np.ones(pairs.n_pairs)) for pairs in parts.negatives[:k]]
        pairs = UserItems.from_pairs(
            np.concatenate([each.users() for each, _ in groups]),
            np.concatenate([each.items for each, _ in groups]),
            n_users=whole.positives.n_users,
            n_items=whole.positives.n_items,
            weights=np.concatenate([weights for _, weights in groups]),
        )
        is_liked = parts.positives[k].contains(pairs)
        found.append(Judged(pairs, is_liked) if is_liked.any() else None)
    return found[0], found[1]


def _weighted(
    drawn_from: Sequence[UserItems],
    part: UserItems,
    logged: tuple[UserItems, NDArray[np.float64]],
    *,
    drawn: bool,
) -> tuple[UserItems, NDArray[np.float64]]:
    """Pairs of a part, and the inverse of the probability that each is in it.

    Args:
        drawn_from: The parts that rows were drawn for, up to this one or beyond.
        part: The part.
        logged: All pairs, and their propensities.
        drawn: Whether the part was drawn.
    """
    p = logged[1][part.contains(logged[0])]
    if not drawn or not part.n_pairs:
        return part, 1.0 / p
    sizes = [each.n_pairs for each in drawn_from]
    before = sum(sizes[: next(k for k, each in enumerate(drawn_from) if each is part)])
    return part, (1.0 - p * before / sum(sizes)) * sum(sizes) / (p * part.n_pairs)
