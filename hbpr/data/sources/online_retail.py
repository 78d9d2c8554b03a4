"""Online Retail: the invoices of a gift shop."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.online_retail import load_online_retail

    assert settings.item_feature != "genome"  # the settings refuse it
    return load_online_retail(
        settings.name, item_feature=settings.item_feature, user_feature=settings.user_feature
    )


ONLINE_RETAIL: Final = Source(_load, defaults={"name": "online_retail"})
