"""The one door from settings to data."""

from hbpr.data.coat import load_coat
from hbpr.data.interactions import Interactions
from hbpr.data.movielens import load_movielens
from hbpr.data.ncf import load_ncf
from hbpr.data.online_retail import load_online_retail
from hbpr.data.synthetic import generate
from hbpr.data.table import load_table
from hbpr.data.user_item import UserItemData
from hbpr.settings.models import DataSettings


def load_data(settings: DataSettings) -> Interactions:
    """Read or generate the data that the settings name, and split it.

    The same settings always give the same data; compare `Interactions.fingerprint`.

    Raises:
        DatasetMissingError: The dataset is not on this machine and cannot be fetched.
        DataError: The dataset does not have what is asked of it.
    """
    return _read(settings).to_interactions(settings.split, candidates=settings.candidates)


def _read(settings: DataSettings) -> UserItemData:
    threshold = settings.rating_threshold
    if settings.source == "movielens":
        return load_movielens(
            settings.name,
            preprocess=True,
            rating_threshold=threshold,
            item_feature=settings.item_feature,
            user_feature=settings.user_feature,
            test_fold=settings.split.name,
        )
    assert settings.item_feature != "genome"  # the settings refuse it
    features = {"item_feature": settings.item_feature, "user_feature": settings.user_feature}
    match settings.source:
        case "ncf":
            return load_ncf(settings.name, **features)
        case "online_retail":
            return load_online_retail(**features)
        case "coat":
            return load_coat(rating_threshold=threshold, **features)
        case "table":
            assert settings.table is not None  # the settings refuse it
            return load_table(
                settings.table, name=settings.name, rating_threshold=threshold, **features
            )
    return generate(settings.synthetic, **features).data
