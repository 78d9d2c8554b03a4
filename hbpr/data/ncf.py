"""The leave-one-out split of "Neural collaborative filtering" (He et al., WWW 2017).

Every rating is a positive. A user's latest is the test item, ranked among 99 published others that
the user did not rate. For ml-1m, users and items join the features of MovieLens.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.data.download import ENV_HOME
from hbpr.data.download import data_home as find_home
from hbpr.data.movielens import add_movielens_features, load_movielens
from hbpr.data.user_item import UserItemData
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import Features as FeatureChoice

_URL: Final = "https://github.com/hexiangnan/neural_collaborative_filtering/tree/master/Data"
_PARTS: Final = ("train.rating", "test.rating", "test.negative")


def load_ncf(
    name: str = "ml-1m",
    *,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
    data_home: str | Path | None = None,
) -> UserItemData:
    """Read the published files, which lie in ``HOME/ncf``.

    Split it with ``SplitSettings(kind="leave_one_out")`` and candidates ``fixed``: test is the
    published item among the published 99, validation the latest of the others.

    Args:
        name: ml-1m or pinterest-20: the files are NAME.train.rating, NAME.test.rating and
            NAME.test.negative.
        item_feature: indicator; metadata (genres and decade) or both for ml-1m, where
            NAME.item-map.tsv (columns item, movie) names the films.
        user_feature: indicator; metadata (age band, gender, occupation) or both for ml-1m.
        data_home: Folder that holds the datasets; None: ``$HBPR_DATA_HOME``, or else hbpr's folder
            in the user's cache.

    Raises:
        DatasetMissingError: A file is not there.
        DataError: A file cannot be read, or there is no metadata.
    """
    home = find_home(data_home)
    folder = home / "ncf"
    paths = [folder / f"{name}.{part}" for part in _PARTS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DatasetMissingError(
            f"ncf {name}: {', '.join(missing)} not found in {folder}. Get them from {_URL}, or set "
            f"{ENV_HOME} to look in another folder."
        )
    data = UserItemData(f"ncf-{name}")
    try:
        train, test = (_ratings(path) for path in paths[:2])
        owners, others = _lists(paths[2])
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"ncf {name}: the files in {folder} cannot be read: {error}") from error
    for rows in (train, test):
        data.add_positive_interactions(rows["user"], rows["item"], times=rows["time"])
    data.hold_out_for_test(test["user"], test["item"])
    data.add_test_candidates(owners, others)
    if {item_feature, user_feature} != {"indicator"}:
        _add_features(data, name, item_feature, user_feature, home)
    return data


def _ratings(path: Path) -> pd.DataFrame:
    table = pd.read_csv(
        path,
        sep="\t",
        header=None,
        names=["user", "item", "rating", "time"],
        dtype={"user": np.int32, "item": np.int32, "time": np.int64},
        usecols=["user", "item", "time"],
    )
    if table.empty:
        raise ValueError(f"{path.name} has no rating")
    return table


def _lists(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """(n,) user and (n,) item of the lists, one a line: ``(user,item)``, then item ids."""
    table = pd.read_csv(path, sep="\t", header=None)
    owner = table[0].str.extract(r"^\((\d+),\d+\)$", expand=False)
    if owner.isna().any():
        raise ValueError(f"{path.name}: a line must start with (user,item), got {table[0][0]!r}")
    items = table.iloc[:, 1:].to_numpy(np.int64)
    return np.repeat(owner.to_numpy(np.int64), items.shape[1]), items.ravel()


def _add_features(
    data: UserItemData,
    name: str,
    item_feature: FeatureChoice,
    user_feature: FeatureChoice,
    home: Path,
) -> None:
    if name != "ml-1m":
        raise DataError(
            f"data: ncf {name} has no metadata, got item_feature {item_feature!r} and "
            f"user_feature {user_feature!r}. Use indicator, or ml-1m."
        )
    path = home / "ncf" / f"{name}.item-map.tsv"
    if not path.is_file():
        raise DatasetMissingError(
            f"ncf {name}: {path.name} not found in {path.parent}. Features need this table of "
            "item (number in the split) and movie (number in ml-1m); or use indicator."
        )
    films = pd.read_csv(path, sep="\t", dtype=np.int64)
    tables = load_movielens("ml-1m", data_home=home)
    number = pd.Series(films["item"].to_numpy(), index=films["movie"].to_numpy())
    items = tables.items.assign(item=tables.items["item"].map(number)).dropna(subset=["item"])
    users = tables.users
    if users is not None:
        users = users.assign(user=users["user"] - 1)
    add_movielens_features(
        data,
        users=(user_feature, data.assemble().user_ids, users),
        items=(item_feature, data.assemble().item_ids, items.astype({"item": np.int64})),
    )
