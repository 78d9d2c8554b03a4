"""MovieLens, fetched where it is not on this machine."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings

#: Folds that ml-100k is published with.
_FOLDS: Final = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.movielens import load_movielens

    return load_movielens(
        settings.name,
        preprocess=True,
        rating_threshold=settings.rating_threshold,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
        test_fold=settings.split.name,
    )


def _folds(settings: "DataSettings") -> tuple[str, ...]:
    return _FOLDS if settings.name.lower() in ("ml-100k", "100k") else ()


def _item_features(settings: "DataSettings") -> tuple[str, ...]:
    has_genome = settings.name.lower().removeprefix("ml-") in ("20m", "25m")
    return ("genome",) if has_genome else ()


MOVIELENS: Final = Source(_load, folds=_folds, item_features=_item_features)
