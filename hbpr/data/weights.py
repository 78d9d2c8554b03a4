"""What becomes of the weights of interactions before training reads them, and a warning in numbers.

An epoch visits positives in proportion to their weights, so a few heavy pairs can take most of it.
"""

import dataclasses
import logging
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import UserItems
from hbpr.settings.tables import WeightTransform

_log = logging.getLogger(__name__)

#: The heaviest weight over the lightest from which a warning is due.
_WIDE: Final = 1e3
_HEAVIEST: Final = 0.01


class Spread(NamedTuple):
    """How unequal (n,) weights are.

    Attributes:
        least: The smallest.
        median: The middle one.
        most: The largest.
        decades: log10 of most over least.
        heaviest_share: Share of an epoch's visits that the heaviest 1 % of the pairs take, at
            least one pair.
    """

    least: float
    median: float
    most: float
    decades: float
    heaviest_share: float


def transformed(pairs: UserItems, how: WeightTransform, cap: float | None = None) -> UserItems:
    """Return pairs with transformed weights; those without any as they are.

    Args:
        pairs: Weights of a repeated pair are added up already.
        how: none; log1p: log(1 + w); sqrt; cap: w, at most `cap`.
        cap: Above 0; for cap alone.
    """
    if pairs.weights is None or how == "none":
        return pairs
    weights = pairs.weights.astype(np.float64)
    if how == "cap":
        assert cap is not None  # the settings see to it
        changed = np.minimum(weights, cap)
    else:
        changed = np.log1p(weights) if how == "log1p" else np.sqrt(weights)
    return dataclasses.replace(pairs, weights=changed.astype(np.float32))


def spread(weights: NDArray[np.float32]) -> Spread:
    """Measure (n,) weights above 0, n at least 1.

    Example:
        >>> spread(np.array([1, 1, 1, 997], np.float32)).heaviest_share
        0.997
    """
    least, median, most = (float(np.quantile(weights, q)) for q in (0.0, 0.5, 1.0))
    n_heaviest = int(np.ceil(_HEAVIEST * len(weights)))
    heaviest = np.partition(weights, len(weights) - n_heaviest)[-n_heaviest:]
    share = float(heaviest.sum(dtype=np.float64) / weights.sum(dtype=np.float64))
    return Spread(least, median, most, float(np.log10(most / least)), share)


def warn_if_wide(name: str, pairs: UserItems, how: WeightTransform) -> None:
    """Say in numbers that a few positives would take most of the visits.

    Args:
        name: Name of the dataset.
        pairs: Positives with the weights that training reads.
        how: What was done to the weights.
    """
    if pairs.weights is None or not pairs.n_pairs:
        return
    found = spread(pairs.weights)
    if found.most <= _WIDE * found.least:
        return
    after = "" if how == "none" else f" after {how}"
    _log.warning(
        "%s: weights%s run from %.6g (median %.6g) to %.6g, over %.1f decades, and training visits "
        "positives in proportion to them: the heaviest 1 %% of %s positives would take %.0f %% of "
        "the visits. Set data.table.weight: {column: ..., transform: %s} (in Python "
        'UserItemData.transform_weights("%s")), or leave the weights out',
        name,
        after,
        found.least,
        found.median,
        found.most,
        found.decades,
        f"{pairs.n_pairs:,}",
        100 * found.heaviest_share,
        *(("log1p",) * 2),
    )
