"""The published splits of "Neural collaborative filtering"."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.ncf import load_ncf

    assert settings.item_feature != "genome"  # the settings refuse it
    return load_ncf(
        settings.name, item_feature=settings.item_feature, user_feature=settings.user_feature
    )


NCF: Final = Source(
    _load,
    defaults={"name": "ml-1m", "split": {"kind": "leave_one_out"}, "candidates": "fixed"},
    has_lists=True,
)
