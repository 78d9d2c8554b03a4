"""The file formats of the MovieLens releases, read into tables of one shape."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

#: Lower ends and names of the age bands that ml-1m publishes; other ages are put into them.
AGE_BANDS: Final = {
    1: "<18",
    18: "18-24",
    25: "25-34",
    35: "35-44",
    45: "45-49",
    50: "50-55",
    56: "56+",
}
#: ml-1m's occupations by number, from its README.
_OCCUPATIONS: Final = (
    "other",
    "educator",
    "artist",
    "clerical",
    "student",
    "customer service",
    "doctor",
    "executive",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales",
    "scientist",
    "self-employed",
    "engineer",
    "craftsman",
    "unemployed",
    "writer",
)
_RATING_TYPES: Final = {
    "user": np.int32,
    "item": np.int32,
    "rating": np.float32,
    "timestamp": np.int64,
}
_RATING_COLUMNS: Final = list(_RATING_TYPES)


@dataclass(frozen=True)
class MovieLensTables:
    """A MovieLens dataset as tables.

    Attributes:
        name: Name of the dataset.
        ratings: One row a rating: user, item, rating, timestamp (seconds since 1970, UTC).
        items: One row a film: item, title, year (from the title; nullable), genres (by ``|``).
        users: One row a user: user, age_band, gender, occupation; None where not published.
    """

    name: str
    ratings: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None


@dataclass(frozen=True)
class Release:
    """How one release is published.

    Attributes:
        md5: Published checksum of the zip; None: the release changes, its ``.zip.md5`` is read.
        zip_folder: Folder inside the zip.
        files: Files that are read; a folder with all of them is a copy.
        read: Reads ratings, items and users from such a folder.
        has_users: Whether user metadata was published.
        has_genome: Whether the zip holds the tag genome.
    """

    md5: str | None
    zip_folder: str
    files: tuple[str, ...]
    read: Callable[[Path], tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]]
    has_users: bool = False
    has_genome: bool = False


def _read_100k(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    ratings = pd.read_csv(
        folder / "u.data", sep="\t", header=None, names=_RATING_COLUMNS, dtype=_RATING_TYPES
    )
    names = pd.read_csv(folder / "u.genre", sep="|", header=None)[0].to_numpy(object)
    table = pd.read_csv(
        folder / "u.item", sep="|", header=None, encoding="latin-1", usecols=[0, 1, *range(5, 24)]
    )
    flags = table[list(range(5, 24))].to_numpy(bool)
    items = _items(
        table[0].to_numpy(np.int32),
        table[1],
        pd.Series(["|".join(names[: flags.shape[1]][row]) for row in flags], dtype=object),
    )
    users = pd.read_csv(
        folder / "u.user",
        sep="|",
        header=None,
        names=["user", "age", "gender", "occupation"],
        usecols=[0, 1, 2, 3],
        encoding="latin-1",
        keep_default_na=False,
    )
    return ratings, items, _users(users, users["occupation"])


def _read_1m(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    users = pd.read_csv(
        folder / "users.dat",
        sep=":",
        header=None,
        usecols=[0, 2, 4, 6],
        encoding="latin-1",
        keep_default_na=False,
    )
    users.columns = pd.Index(["user", "gender", "age", "occupation"])
    occupation = users["occupation"].map(dict(enumerate(_OCCUPATIONS)))
    return _dat_ratings(folder), _dat_items(folder, "latin-1"), _users(users, occupation)


def _read_10m(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    return _dat_ratings(folder), _dat_items(folder, "utf-8"), None


def _read_csv(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    ratings = pd.read_csv(
        folder / "ratings.csv",
        header=0,
        names=_RATING_COLUMNS,
        dtype=_RATING_TYPES,
    )
    movies = pd.read_csv(folder / "movies.csv", keep_default_na=False)
    items = _items(movies["movieId"].to_numpy(np.int32), movies["title"], movies["genres"])
    return ratings, items, None


def read_genome(folder: Path) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """Read the tag genome: columns item, tag (its number), relevance; and each number's tag."""
    scores = pd.read_csv(
        folder / GENOME[0],
        header=0,
        names=["item", "tag", "relevance"],
        dtype={"item": np.int32, "tag": np.int32, "relevance": np.float32},
    )
    if not scores["relevance"].between(0.0, 1.0).all():
        raise ValueError(f"{GENOME[0]}: every relevance must be from 0 to 1")
    tags = pd.read_csv(folder / GENOME[1], keep_default_na=False, index_col="tagId")["tag"]
    return scores, tags


def _dat_ratings(folder: Path) -> pd.DataFrame:
    # One-character separators keep pandas' fast parser: `a::b` is `a`, an empty column, `b`.
    ratings = pd.read_csv(
        folder / "ratings.dat",
        sep=":",
        header=None,
        names=["user", "_1", "item", "_2", "rating", "_3", "timestamp"],
        usecols=_RATING_COLUMNS,
        dtype=_RATING_TYPES,
    )
    return ratings[_RATING_COLUMNS]


def _dat_items(folder: Path, encoding: str) -> pd.DataFrame:
    # Titles hold single colons, so these lines are split in Python; there are ten thousand.
    lines = (folder / "movies.dat").read_text(encoding=encoding).split("\n")
    rows = [line.rstrip("\r").split("::") for line in lines if line]
    ids, titles, genres = zip(*rows, strict=True)
    return _items(np.array(ids, np.int32), pd.Series(titles), pd.Series(genres))


def _items(ids: np.ndarray, titles: pd.Series, genres: pd.Series) -> pd.DataFrame:
    year = titles.str.extract(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\)\s*$", expand=False)
    return pd.DataFrame(
        {
            "item": ids,
            "title": titles.to_numpy(object),
            "year": pd.to_numeric(year).astype("Int64").array,
            "genres": genres.replace("(no genres listed)", "unknown").to_numpy(object),
        }
    )


def _users(users: pd.DataFrame, occupation: pd.Series) -> pd.DataFrame:
    edges = [-np.inf, *list(AGE_BANDS)[1:], np.inf]
    bands = pd.cut(users["age"], edges, right=False, labels=list(AGE_BANDS.values()))
    return pd.DataFrame(
        {
            "user": users["user"].to_numpy(np.int32),
            "age_band": bands.to_numpy(object),
            "gender": users["gender"].to_numpy(object),
            "occupation": occupation.to_numpy(object),
        }
    )


#: Files of the tag genome. ml-20m and ml-25m have them (their READMEs list them); ml-10m has
#: movies.dat, ratings.dat and tags.dat alone, and ml-latest-small has no genome either.
GENOME: Final = ("genome-scores.csv", "genome-tags.csv")
_CSV: Final = ("ratings.csv", "movies.csv")
_DAT: Final = ("ratings.dat", "movies.dat")

# GroupLens publishes NAME.zip.md5 beside each zip. The checksums below belong to releases that
# never change; each was compared with several independent public loaders, among them Gorse and
# Paddle (100k, 1m), datamaestro (20m) and Keras-based ones (all five), and records of the
# publisher's own .md5 file (1m, 10m, 20m, 25m). ml-latest-small is replaced from time to time.
RELEASES: Final[dict[str, Release]] = {
    "ml-100k": Release(
        "0e33842e24a9c977be4e0107933c0723",
        "ml-100k",
        ("u.data", "u.item", "u.user", "u.genre"),
        _read_100k,
        has_users=True,
    ),
    "ml-1m": Release(
        "c4d9eecfca2ab87c1945afe126590906",
        "ml-1m",
        (*_DAT, "users.dat"),
        _read_1m,
        has_users=True,
    ),
    "ml-10m": Release("ce571fd55effeba0271552578f2648bd", "ml-10M100K", _DAT, _read_10m),
    "ml-20m": Release(
        "cd245b17a1ae2cc31bb14903e1204af3", "ml-20m", _CSV, _read_csv, has_genome=True
    ),
    "ml-25m": Release(
        "6b51fb2759a8657d3bfcbfc42b592ada", "ml-25m", _CSV, _read_csv, has_genome=True
    ),
    "ml-latest-small": Release(None, "ml-latest-small", _CSV, _read_csv),
}
