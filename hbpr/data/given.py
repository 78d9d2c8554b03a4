"""Data that a caller has in memory, as the interactions that training reads."""

from collections.abc import Mapping
from typing import Any

from hbpr.data.interactions import Interactions
from hbpr.data.sources.memory import NAME as MEMORY
from hbpr.data.user_item import UserItemData
from hbpr.settings.models import DataSettings


def as_interactions(
    data: Any, settings: DataSettings, columns: Mapping[str, Any] | None = None
) -> Interactions:
    """Return data in memory, split.

    Args:
        data: A data frame, see `UserItemData.from_frame`, `UserItemData`, or `Interactions`, which
            are returned as they are.
        settings: Threshold of ratings and name of a frame; split and candidates of what is not
            split yet. A split that was chosen by `UserItemData.split_train_test` stays.
        columns: Meaning of a frame's columns, by the keys of ``data.table``.

    Raises:
        DataError: It is none of these, or the data lack what the split needs.
    """
    if isinstance(data, Interactions):
        return data
    if isinstance(data, UserItemData):
        whole = data
    else:
        whole = UserItemData.from_frame(
            data,
            name=settings.name if settings.source == MEMORY else "data",
            rating_threshold=settings.rating_threshold,
            **(columns or {}),
        )
    split = settings.split if whole.split is None else None
    return whole.to_interactions(split, candidates=settings.candidates)
