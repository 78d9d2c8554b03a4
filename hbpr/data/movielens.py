"""The MovieLens datasets of GroupLens: find or fetch, read, turn into interactions.

An unpacked copy that lies in ``$HBPR_DATA_HOME/NAME`` is read as it is; otherwise the published zip
is fetched there. Terms of use are in each dataset's README: research, with acknowledgement (Harper
and Konstan, ACM TiiS 5(4), 2015, doi:10.1145/2827872).
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, overload

import numpy as np
import pandas as pd

from hbpr.data.chosen_features import add_chosen_features
from hbpr.data.download import data_home as find_home
from hbpr.data.download import find_or_fetch
from hbpr.data.movielens_files import GENOME, RELEASES, MovieLensTables, read_genome
from hbpr.data.user_item import UserItemData
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import ItemFeatures

_log = logging.getLogger(__name__)

_URL: Final = "https://files.grouplens.org/datasets/movielens"


@overload
def load_movielens(
    name: str = ...,
    *,
    preprocess: Literal[False] = ...,
    rating_threshold: float = ...,
    item_feature: FeatureChoice = ...,
    user_feature: FeatureChoice = ...,
    data_home: str | Path | None = ...,
) -> MovieLensTables: ...


@overload
def load_movielens(
    name: str = ...,
    *,
    preprocess: Literal[True],
    rating_threshold: float = ...,
    item_feature: ItemFeatures = ...,
    user_feature: FeatureChoice = ...,
    test_fold: str | None = ...,
    data_home: str | Path | None = ...,
) -> UserItemData: ...


def load_movielens(
    name: str = "ml-100k",
    *,
    preprocess: bool = False,
    rating_threshold: float = 3.5,
    item_feature: ItemFeatures = "indicator",
    user_feature: FeatureChoice = "indicator",
    test_fold: str | None = None,
    data_home: str | Path | None = None,
) -> MovieLensTables | UserItemData:
    """Read a MovieLens dataset, fetching it first if it is not on this machine.

    Args:
        name: ml-100k, ml-1m, ml-10m, ml-20m, ml-25m or ml-latest-small; ``ml-`` may be left out.
        preprocess: True: interactions and features, ready to be split; False: tables.
        rating_threshold: A rating at or above it is a positive, one below it an observed negative.
        item_feature: indicator: one feature an item; metadata: genres and the decade of release;
            both. Every feature weighs 1. genome (ml-20m and ml-25m only): one feature an item,
            and beside it the relevance of every tag of the tag genome, scaled so that their
            squares sum to 1. A film that the genome leaves out has its own feature alone; the log
            counts them.
        user_feature: indicator; metadata: age band, gender and occupation (ml-100k and ml-1m
            only); both.
        test_fold: A published fold of ml-100k, u1 to u5, ua or ub: its test pairs are held out by
            a split of kind ``fixed``. For preprocess=True.
        data_home: Folder that holds the datasets; None: ``$HBPR_DATA_HOME``, or else hbpr's folder
            in the user's cache.

    Returns:
        `MovieLensTables`, or `UserItemData` whose users and items are those with a rating (a film
        that nobody rated is left out).

    Raises:
        DatasetMissingError: It is not on this machine and cannot be fetched.
        DataError: The name is unknown, a file cannot be read, or features are asked for that
            were not published.
    """
    name = canonical_name(name)
    if user_feature != "indicator" and not RELEASES[name].has_users:
        raise DataError(
            f"data.user_feature: {name} has no user metadata, got {user_feature!r}. "
            "Use indicator, or ml-100k or ml-1m."
        )
    if item_feature == "genome" and not RELEASES[name].has_genome:
        raise DataError(
            f"data.item_feature: genome is published with ml-20m and ml-25m only, {name} has none. "
            "Use indicator, metadata or both."
        )
    home = find_home(data_home)
    folder = _locate(name, home, GENOME if item_feature == "genome" else ())
    tables = _read(name, folder)
    if not preprocess:
        return tables
    if item_feature == "genome":
        data = _to_data(tables, rating_threshold, "indicator", user_feature)
        _add_genome(data, folder, np.unique(tables.ratings["item"]))
    else:
        data = _to_data(tables, rating_threshold, item_feature, user_feature)
    if test_fold is not None:
        path = folder / f"{test_fold}.test"
        if not path.is_file():
            raise DatasetMissingError(
                f"{name}: data.split.name: {path} is not there; ml-100k is published with the "
                "folds u1 to u5, ua and ub"
            )
        test = pd.read_csv(path, sep="\t", header=None, usecols=[0, 1], dtype=np.int32)
        data.hold_out_for_test(test[0].to_numpy(), test[1].to_numpy())
    return data


def canonical_name(name: str) -> str:
    """Return the full name of a dataset: ``100k`` and ``ML-100K`` are ``ml-100k``.

    Raises:
        DataError: There is no such dataset.
    """
    full = name.lower() if name.lower().startswith("ml-") else f"ml-{name.lower()}"
    if full not in RELEASES:
        raise DataError(f"data.name: expected one of {', '.join(RELEASES)}, got {name!r}")
    return full


def _to_data(
    tables: MovieLensTables,
    rating_threshold: float,
    item_feature: FeatureChoice,
    user_feature: FeatureChoice,
) -> UserItemData:
    ratings = tables.ratings
    users, items = ratings["user"].to_numpy(), ratings["item"].to_numpy()
    times = ratings["timestamp"].to_numpy()
    positive = ratings["rating"].to_numpy() >= rating_threshold
    data = UserItemData(tables.name)
    for add, rows in (
        (data.add_positive_interactions, positive),
        (data.add_negative_interactions, ~positive),
    ):
        add(users[rows], items[rows], times=times[rows])
    add_movielens_features(
        data, users=(user_feature, users, tables.users), items=(item_feature, items, tables.items)
    )
    data.add_item_names(tables.items["item"].to_numpy(), tables.items["title"])
    return data


def add_movielens_features(
    data: UserItemData,
    *,
    users: tuple[FeatureChoice, np.ndarray[Any, Any], pd.DataFrame | None],
    items: tuple[FeatureChoice, np.ndarray[Any, Any], pd.DataFrame],
) -> None:
    """Add the features that the settings ask for.

    Args:
        data: Receives the features.
        users: Choice, ids that occur (repeats allowed), and table as in `MovieLensTables`.
        items: The same for items.
    """
    choice, ids, films = items
    _add(data.add_item_features, choice, "item", ids, _item_metadata, films)
    choice, ids, people = users
    _add(data.add_user_features, choice, "user", ids, _user_metadata, people)


def _add(
    add: Callable[..., None],
    choice: FeatureChoice,
    side: str,
    ids: np.ndarray[Any, Any],
    metadata: Callable[[pd.DataFrame], pd.DataFrame],
    table: pd.DataFrame | None,
) -> None:
    rated = np.unique(ids)
    triples = pd.DataFrame({side: rated[:0], "label": []})
    if table is not None and choice != "indicator":
        triples = metadata(table[table[side].isin(rated)])
    add_chosen_features(
        add, choice, rated, (triples[side].to_numpy(), triples["label"].to_numpy(object))
    )


def _add_genome(data: UserItemData, folder: Path, rated: np.ndarray[Any, Any]) -> None:
    """Add the tags of each film, weighed by relevance, the weights of a film of length 1.

    So a film's tags together start and learn (SGD) at the scale of one feature, however many are
    relevant; unscaled, a thousand tags would move a film hundreds of steps at once.

    Raises:
        DataError: The files cannot be read, or do not fit each other.

    Source:
        Vig, Sen & Riedl, "The tag genome", ACM TiiS 2(3), 2012, doi:10.1145/2362394.2362395.
    """
    try:
        scores, tags = read_genome(folder)
    except (ValueError, KeyError) as error:
        raise DataError(f"{data.name}: the genome in {folder} cannot be read: {error}") from error
    scores = scores[scores["item"].isin(rated) & (scores["relevance"] > 0)]
    unknown = ~scores["tag"].isin(tags.index)
    if unknown.any():
        raise DataError(
            f"{data.name}: genome-scores.csv in {folder} has the tag "
            f"{scores['tag'][unknown].iloc[0]}, which genome-tags.csv does not name"
        )
    relevance = scores["relevance"].to_numpy(np.float64)
    films = scores["item"].to_numpy()
    weights = relevance / np.sqrt(np.bincount(films, relevance**2))[films]
    codes, texts = pd.factorize(("tag=" + tags).to_numpy(object))
    labels = pd.Categorical.from_codes(
        codes[tags.index.get_indexer(pd.Index(scores["tag"]))], categories=pd.Index(texts)
    )
    data.add_item_features(films, labels, weights)
    without = len(rated) - scores["item"].nunique()
    _log.info(
        "%s: %d of %d films are not in the tag genome: they have their own feature alone",
        data.name,
        without,
        len(rated),
    )


def _item_metadata(items: pd.DataFrame) -> pd.DataFrame:
    """(item, label) rows: ``genre=Drama`` for each genre, and ``decade=1990``."""
    genres = items[["item"]].assign(label=items["genres"].str.split("|")).explode("label")
    genres = genres[genres["label"].fillna("") != ""]
    dated = items[items["year"].notna()]
    return pd.concat(
        [
            genres.assign(label="genre=" + genres["label"]),
            pd.DataFrame(
                {
                    "item": dated["item"],
                    "label": "decade=" + (dated["year"].astype(int) // 10 * 10).astype(str),
                }
            ),
        ]
    )


def _user_metadata(users: pd.DataFrame) -> pd.DataFrame:
    """(user, label) rows: ``age=25-34``, ``gender=F``, ``occupation=writer``."""
    return pd.concat(
        [
            pd.DataFrame({"user": users["user"], "label": f"{label}=" + users[column]})
            for label, column in (
                ("age", "age_band"),
                ("gender", "gender"),
                ("occupation", "occupation"),
            )
        ]
    )


def _locate(name: str, home: Path, more: tuple[str, ...] = ()) -> Path:
    """Folder of a complete copy with `more` files, fetched if there is none."""
    release = RELEASES[name]
    return find_or_fetch(
        name,
        home,
        folders=(name, release.zip_folder),
        files=(*release.files, *more),
        url=f"{_URL}/{name}.zip",
        md5=release.md5,
    )


def _read(name: str, folder: Path) -> MovieLensTables:
    try:
        tables = MovieLensTables(name, *RELEASES[name].read(folder))
    except (ValueError, KeyError) as error:
        raise DataError(f"{name}: the files in {folder} cannot be read: {error}") from error
    if tables.ratings.empty:
        raise DataError(f"{name}: the files in {folder} cannot be read: there is no rating")
    return tables
