"""Coat Shopping, which comes with its test part."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.coat import load_coat

    assert settings.item_feature != "genome"  # the settings refuse it
    return load_coat(
        rating_threshold=settings.rating_threshold,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
    )


def _folds(settings: "DataSettings") -> tuple[None]:
    return (None,)


def _check(settings: "DataSettings") -> None:
    split = settings.split
    if split.kind != "fixed" or split.name is not None:
        raise ValueError(
            "split: coat comes with its test part: use kind fixed without name, got "
            f"kind {split.kind}, name {split.name!r}"
        )


COAT: Final = Source(
    _load,
    defaults={"name": "coat", "split": {"kind": "fixed"}},
    has_times=lambda settings: False,
    folds=_folds,
    check=_check,
)
