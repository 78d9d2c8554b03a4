"""What a source of data can do: its facts, which settings are checked against before it is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: `hbpr.settings.models.DataSettings`, which are checked against this: no type names them here.
DataSettings: TypeAlias = Any
#: `hbpr.data.user_item.UserItemData`, which is split by such settings.
UserItemData: TypeAlias = Any


def _nothing(settings: DataSettings) -> None:
    """No rules of its own."""


def _always(settings: DataSettings) -> bool:
    return True


def _no_folds(settings: DataSettings) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Source:
    """Where interactions and features come from.

    The module of a source is imported when settings name it, so it imports pandas and the like
    within `load`.

    Attributes:
        load: Reads or generates the data, unsplit.
        defaults: What keys of ``data`` mean where they are left out.
        has_times: Whether interactions have times, which a split by them needs.
        folds: Names of the published test parts that a split of kind fixed can take; ``(None,)``
            where there is one without a name, empty where there is none.
        has_lists: Whether lists of candidates are published for a split of kind leave_one_out.
        item_features: Values of ``data.item_feature`` that go beyond indicator, metadata and both.
        reads_table: Whether it reads the file that ``data.table`` describes.
        check: Raises ValueError where other settings do not go together with the source; the
            message says what to do.
    """

    load: Callable[[DataSettings], UserItemData]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    has_times: Callable[[DataSettings], bool] = _always
    folds: Callable[[DataSettings], Sequence[str | None]] = _no_folds
    has_lists: bool = False
    item_features: Callable[[DataSettings], Sequence[str]] = _no_folds
    reads_table: bool = False
    check: Callable[[DataSettings], None] = _nothing
