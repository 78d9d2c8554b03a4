"""What a setting of features asks for."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from hbpr.settings.models import Features as FeatureChoice


def add_chosen_features(
    add: Callable[..., None],
    choice: FeatureChoice,
    ids: NDArray[Any],
    metadata: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    """Add what a ``user_feature`` or ``item_feature`` setting asks for, every weight 1.

    Args:
        add: `hbpr.data.user_item.UserItemData.add_user_features` or its twin for items.
        choice: indicator: one feature for each id; metadata: only the triples; both: the
            indicator columns, then the metadata columns.
        ids: (n,) all ids of the side.
        metadata: (rows,) ids and (rows,) labels.
    """
    if choice != "metadata":
        add(ids, ids)
    if choice != "indicator":
        add(*metadata)
