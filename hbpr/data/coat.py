"""Coat Shopping (Schnabel et al., ICML 2016): ratings that people chose to give, and random ones.

290 people rated 24 coats of their own choice, the biased log, and 16 random ones, the unbiased
test. No terms come with the files: use it for research, and cite.
"""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.data.chosen_features import add_chosen_features
from hbpr.data.download import ENV_HOME
from hbpr.data.download import data_home as find_home
from hbpr.data.user_item import UserItemData
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import Features as FeatureChoice

_log = logging.getLogger(__name__)

_URL: Final = "https://www.cs.cornell.edu/~schnabts/mnar/"
_FEATURES: Final = "user_item_features"


def load_coat(
    *,
    rating_threshold: float = 3.5,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
    data_home: str | Path | None = None,
) -> UserItemData:
    """Read ``HOME/coat``; split it with ``SplitSettings(kind="fixed")``.

    Everything in test.ascii is the test part, rated high or low: with candidates ``observed``
    positives are ranked among the coats that the user was made to rate. A pair that is rated in
    both files is left out of training.

    Args:
        rating_threshold: A rating, 1 to 5, at or above it is a positive, one below it an observed
            negative.
        item_feature: indicator; metadata (gender, type, colour, front page); both.
        user_feature: indicator; metadata (gender, age, location, interest in fashion); both.
        data_home: Folder that holds the datasets; None: ``$HBPR_DATA_HOME``, or else hbpr's folder
            in the user's cache.

    Raises:
        DatasetMissingError: A file is not there.
        DataError: A file cannot be read.
    """
    home = find_home(data_home)
    folder = home / "coat"
    train, test = _matrix(folder / "train.ascii"), _matrix(folder / "test.ascii")
    if train.shape != test.shape:
        raise DataError(f"coat: {folder}: train is {train.shape}, test is {test.shape}")
    both = (train > 0) & (test > 0)
    if both.any():
        _log.info("coat: %d pairs are rated in both parts and left out of training", both.sum())
    data = UserItemData("coat")
    ratings = np.where(test > 0, test, train)
    data.add_positive_interactions(*np.nonzero(ratings >= rating_threshold))
    data.add_negative_interactions(*np.nonzero((ratings > 0) & (ratings < rating_threshold)))
    data.hold_out_for_test(*np.nonzero(test))
    n_users, n_items = train.shape
    for side, add, choice, n in (
        ("user", data.add_user_features, user_feature, n_users),
        ("item", data.add_item_features, item_feature, n_items),
    ):
        metadata: tuple[NDArray[Any], NDArray[Any]] = (np.zeros(0, np.int64), np.zeros(0, object))
        if choice != "indicator":
            metadata = _flags(folder / _FEATURES, side, n)
        add_chosen_features(add, choice, np.arange(n), metadata)
    return data


def _flags(folder: Path, side: str, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(n_flags,) row and (n_flags,) label, such as ``age=20-30``."""
    flags = _matrix(folder / f"{side}_features.ascii")
    names = _existing(folder / f"{side}_features_map.txt").read_text("utf-8").splitlines()
    labels = np.array([name.strip().replace(":", "=", 1) for name in names if name.strip()], object)
    if flags.shape != (n, len(labels)):
        raise DataError(f"coat: {side} features are {flags.shape}, expected {(n, len(labels))}")
    rows, columns = np.nonzero(flags)
    return rows, labels[columns]


def _matrix(path: Path) -> NDArray[np.float64]:
    existing = _existing(path)
    try:
        return np.loadtxt(existing, ndmin=2)
    except ValueError as error:
        raise DataError(f"coat: {path} cannot be read: {error}") from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DatasetMissingError(
            f"coat: {path} not found. Get the dataset from {_URL}, or set {ENV_HOME} to look in "
            "another folder."
        )
    return path
