"""Generated data with planted preferences."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.synthetic import generate

    assert settings.item_feature != "genome"  # the settings refuse it
    return generate(
        settings.synthetic,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
    ).data


SYNTHETIC: Final = Source(_load, defaults={"name": "synthetic"}, has_times=lambda settings: False)
