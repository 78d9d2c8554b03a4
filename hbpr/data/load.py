"""The one door from settings to data."""

from hbpr.data.interactions import Interactions
from hbpr.data.sources import SOURCES
from hbpr.data.user_item import UserItemData
from hbpr.settings.models import DataSettings


def load_data(settings: DataSettings) -> Interactions:
    """Read or generate the data that the settings name, and split it.

    The same settings always give the same data; compare `Interactions.fingerprint`.

    Raises:
        DatasetMissingError: The dataset is not on this machine and cannot be fetched.
        DataError: The dataset does not have what is asked of it.
    """
    return read_data(settings).to_interactions(settings.split, candidates=settings.candidates)


def read_data(settings: DataSettings) -> UserItemData:
    """Read or generate the data that the settings name, unsplit.

    Raises:
        DatasetMissingError: The dataset is not on this machine and cannot be fetched.
        DataError: The dataset does not have what is asked of it.
    """
    data: UserItemData = SOURCES[settings.source].load(settings)
    return data
