"""The one door from settings to data."""

from hbpr.data.interactions import Interactions
from hbpr.data.synthetic import generate
from hbpr.settings.models import DataSettings


def load_data(settings: DataSettings) -> Interactions:
    """Read or generate the data that the settings name, and split it.

    The same settings always give the same data; compare `Interactions.fingerprint`.

    Raises:
        DatasetMissingError: The dataset is not on this machine and cannot be fetched.
        DataError: The dataset does not have what is asked of it.
    """
    data = generate(
        settings.synthetic,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
    ).data
    return data.to_interactions(settings.split)
