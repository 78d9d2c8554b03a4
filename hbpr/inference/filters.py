"""Which items may be listed: what the options say, looked up once for however many lists.

Shapes: I items, Q features of items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features
from hbpr.inference.described import features_of
from hbpr.inference.options import ListOptions
from hbpr.inference.text_ids import TextIds


@dataclass(frozen=True)
class PreparedOptions:
    """Options whose names were looked up in a model.

    Attributes:
        options: As given.
        candidates: (I,) items that may be listed; None: all.
    """

    options: ListOptions
    candidates: NDArray[np.bool_] | None = field(repr=False)


def candidates_of(
    options: ListOptions, items: TextIds, features: Features, names: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Return (I,) items that may be listed; None: all.

    Args:
        options: What is asked for.
        items: Ids of the items.
        features: (I, Q) features of the items.
        names: (Q,) names of the features.

    Raises:
        DataError: An allowed item or a feature of items is not known.
    """
    allowed: NDArray[np.bool_] | None = None
    if options.allow_items is not None:
        allowed = np.zeros(len(items), bool)
        allowed[items.known(options.allow_items, "allow_items")] = True
    if options.item_features:
        wanted = features_of("item_features", [list(options.item_features)], names)
        having = np.zeros(len(items), bool)
        hits = np.isin(features.indices, wanted.indices) & (features.values != 0)
        having[np.repeat(np.arange(len(items)), np.diff(features.indptr))[hits]] = True
        allowed = having if allowed is None else allowed & having
    if options.deny_items:
        allowed = np.ones(len(items), bool) if allowed is None else allowed
        allowed[items.rows(options.deny_items)[0]] = False  # an unknown one is not listed
    return allowed
