"""The one door from settings to data."""

from hbpr.data.interactions import Interactions
from hbpr.data.movielens import load_movielens
from hbpr.data.ncf import load_ncf
from hbpr.data.synthetic import generate
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
    if settings.source == "synthetic":
        return generate(
            settings.synthetic,
            item_feature=settings.item_feature,
            user_feature=settings.user_feature,
        ).data
    if settings.source == "ncf":
        return load_ncf(
            settings.name, item_feature=settings.item_feature, user_feature=settings.user_feature
        )
    return load_movielens(
        settings.name,
        preprocess=True,
        rating_threshold=settings.rating_threshold,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
        test_fold=settings.split.name,
    )
