import dataclasses
import hashlib
import io
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from hbpr.data import UserItemData, load_data, load_movielens
from hbpr.data import movielens as module
from hbpr.data.movielens import canonical_name
from hbpr.data.movielens_files import AGE_BANDS, RELEASES, Release
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import DataSettings

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("HBPR_DATA_HOME") or _SHARED)


def real(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"no {name} in {REAL}; set HBPR_DATA_HOME")
    return REAL


def write(folder: Path, files: dict[str, str], encoding: str = "latin-1") -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))


FLAGS = ["0"] * 19
DRAMA, BOTH = [*FLAGS[:8], "1", *FLAGS[9:]], ["0", "1", *FLAGS[2:8], "1", *FLAGS[9:]]
GENRES = ["unknown", "Action", *(f"g{k}" for k in range(2, 8)), "Drama", *map(str, range(9, 19))]

SMALL_100K = {
    "u.data": "1\t10\t5\t881250949\n2\t10\t3\t881250950\n1\t20\t4\t881250951\n",
    "u.item": "".join(
        "|".join([item, title, "01-Jan-1995", "", "http://x", *flags]) + "\n"
        for item, title, flags in (
            ("10", "Amélie (2001)", DRAMA),
            ("20", "Heat: the film (1995)", BOTH),
            ("30", "Unrated (1990)", DRAMA),
        )
    ),
    "u.user": "1|17|M|writer|1\n2|56|F|none|N4B\n",
    "u.genre": "".join(f"{name}|{k}\n" for k, name in enumerate(GENRES)) + "\n",
}
DAT = {
    "ratings.dat": "1::10::5::978300760\n2::10::3.5::978300761\n1::20::4::978300762\n",
    "movies.dat": "10::Star Trek: Amélie (2001)::Drama\n20::Heat (1995)::Action|Drama\n",
}
CSV = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,5.0,1\n2,10,3.5,2\n1,20,4.0,3\n",
    "movies.csv": (
        'movieId,title,genres\n10,"Amélie, or else (2001)",Drama\n'
        "20,Series (2006–2007),(no genres listed)\n"
    ),
}


def test_100k_with_metadata(tmp_path):
    write(tmp_path / "ml-100k", SMALL_100K)
    tables = load_movielens("100k", data_home=tmp_path)
    assert tables.ratings.to_numpy().tolist()[1] == [2, 10, 3, 881250950]
    assert tables.items["title"].tolist()[0] == "Amélie (2001)"
    assert tables.items["year"].tolist() == [2001, 1995, 1990]
    assert tables.items["genres"].tolist() == ["Drama", "Action|Drama", "Drama"]
    assert tables.users["age_band"].tolist() == ["<18", "56+"]
    data = load_movielens(
        "ml-100k",
        preprocess=True,
        item_feature="metadata",
        user_feature="both",
        data_home=tmp_path,
    )
    made = data.to_interactions()
    assert made.item_ids.tolist() == [10, 20]  # nobody rated 30
    assert made.item_feature_names == (
        "decade=1990",
        "decade=2000",
        "genre=Action",
        "genre=Drama",
    )
    assert made.item_features.to_csr().toarray().tolist() == [[0, 1, 0, 1], [1, 0, 1, 1]]
    assert made.user_feature_names == (
        *("1", "2", "age=56+", "age=<18", "gender=F", "gender=M"),
        *("occupation=none", "occupation=writer"),
    )
    assert made.user_features.to_csr().toarray()[0].tolist() == [1, 0, 0, 1, 0, 1, 0, 1]


def test_1m_users_and_titles_with_colons(tmp_path):
    users = {"users.dat": "1::F::1::10::48067\n2::M::56::16::70072-1\n"}
    write(tmp_path / "ml-1m", DAT | users)
    tables = load_movielens("ml-1m", data_home=tmp_path)
    assert tables.items["title"].tolist() == ["Star Trek: Amélie (2001)", "Heat (1995)"]
    assert tables.users.to_numpy().tolist() == [
        [1, "<18", "F", "K-12 student"],
        [2, "56+", "M", "self-employed"],
    ]


@pytest.mark.parametrize("folder", ["ml-10m", "ml-10M100K"])
def test_10m_is_utf8_and_has_half_stars(tmp_path, folder):
    write(tmp_path / folder, DAT, "utf-8")
    tables = load_movielens("10M", data_home=tmp_path)
    assert tables.ratings["rating"].tolist() == [5.0, 3.5, 4.0]
    assert tables.items["title"][0] == "Star Trek: Amélie (2001)"
    assert tables.users is None


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m", "ml-latest-small"])
def test_csv_releases(tmp_path, name):
    write(tmp_path / name, CSV, "utf-8")
    tables = load_movielens(name, data_home=tmp_path)
    assert tables.ratings["rating"].tolist() == [5.0, 3.5, 4.0]
    assert tables.items["title"].tolist() == ["Amélie, or else (2001)", "Series (2006–2007)"]
    assert tables.items["year"].tolist() == [2001, 2006]
    assert tables.items["genres"].tolist() == ["Drama", "unknown"]


@pytest.mark.parametrize(("threshold", "positives"), [(0.5, 3), (3.5, 3), (4.0, 2), (5.0, 1)])
def test_at_or_above_the_threshold_is_positive_and_below_is_observed_negative(
    tmp_path, threshold, positives
):
    write(tmp_path / "ml-20m", CSV, "utf-8")
    data = load_movielens("20m", preprocess=True, rating_threshold=threshold, data_home=tmp_path)
    assert isinstance(data, UserItemData)
    assert (data.n_positives, data.n_negatives) == (positives, 3 - positives)


def test_user_metadata_that_was_not_published_is_refused(tmp_path):
    with pytest.raises(DataError, match="ml-20m has no user metadata, got 'both'"):
        load_movielens("20m", preprocess=True, user_feature="both", data_home=tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("100k", "ml-100k"), ("1M", "ml-1m"), ("ML-25M", "ml-25m"), ("latest-small", None)],
)
def test_short_names(given, expected):
    assert canonical_name(given) == (expected or "ml-latest-small")


def test_an_unknown_name_shows_the_known_ones():
    with pytest.raises(DataError, match=r"expected one of ml-100k, ml-1m, .*, got 'ml-2m'"):
        load_movielens("ml-2m")


@pytest.mark.parametrize("broken", ["1\t10\tfive\t8\n", "", "1\t10\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, broken):
    write(tmp_path / "ml-100k", SMALL_100K | {"u.data": broken})
    with pytest.raises(DataError, match=f"ml-100k: the files in {tmp_path}.* cannot be read"):
        load_movielens("ml-100k", data_home=tmp_path)


def test_the_environment_says_where_to_look(tmp_path, monkeypatch):
    monkeypatch.setenv("HBPR_DATA_HOME", str(tmp_path))
    write(tmp_path / "ml-latest-small", CSV, "utf-8")
    settings = DataSettings(name="ml-latest-small", rating_threshold=3.0)
    made = load_data(settings)
    assert made.name == "ml-latest-small"
    assert made.fingerprint == load_data(settings).fingerprint


def test_fetching_goes_to_the_published_address_and_checksum(tmp_path, site, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in DAT.items():
            archive.writestr(f"ml-10M100K/{name}", text.encode())
    site.files["/movielens/ml-10m.zip"] = buffer.getvalue()
    monkeypatch.setattr(module, "_URL", f"{site.url}/movielens")
    with pytest.raises(DatasetMissingError, match="MD5"):
        load_movielens("10m", data_home=tmp_path)
    release = RELEASES["ml-10m"]
    md5 = hashlib.md5(buffer.getvalue()).hexdigest()
    changed = Release(md5, release.zip_folder, release.files, release.read)
    monkeypatch.setitem(RELEASES, "ml-10m", changed)
    assert len(load_movielens("10m", data_home=tmp_path).ratings) == 3
    assert sorted(p.name for p in (tmp_path / "ml-10m").iterdir()) == sorted(DAT)


GENOME = {
    "genome-scores.csv": (
        "movieId,tagId,relevance\n10,1,0.025\n10,2,0.075\n10,3,0.0\n40,1,0.5\n40,2,0.5\n40,3,1.0\n"
    ),
    "genome-tags.csv": "tagId,tag\n1,007 (series)\n2,null\n3,nobody's\n",
}


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m"])
def test_the_genome_is_fetched_and_weighs_tags_beside_each_films_own_feature(
    tmp_path, site, monkeypatch, caplog, name
):
    caplog.set_level(logging.INFO)
    write(tmp_path / name, CSV, "utf-8")  # a copy without a genome is not enough
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, text in (CSV | GENOME).items():
            archive.writestr(f"{name}/{file}", text.encode())
    site.files[f"/movielens/{name}.zip"] = buffer.getvalue()
    monkeypatch.setattr(module, "_URL", f"{site.url}/movielens")
    md5 = hashlib.md5(buffer.getvalue()).hexdigest()
    monkeypatch.setitem(RELEASES, name, dataclasses.replace(RELEASES[name], md5=md5))
    monkeypatch.setenv("HBPR_DATA_HOME", str(tmp_path))
    made = load_data(DataSettings(name=name, item_feature="genome"))
    assert made.item_feature_names == ("10", "20", "tag=007 (series)", "tag=null")
    np.testing.assert_allclose(
        made.item_features.to_csr().toarray(), [[1, 0, 0.1**0.5, 0.9**0.5], [0, 1, 0, 0]], rtol=1e-6
    )
    assert "1 of 2 films are not in the tag genome" in caplog.text
    assert len(site.requests) == 1
    load_data(DataSettings(name=name, item_feature="genome"))
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"genome-scores.csv": "movieId,tagId,relevance\n10,9,1\n"}, "the tag 9, which"),
        ({"genome-scores.csv": "movieId,tagId,relevance\n10,1,1.5\n"}, "from 0 to 1"),
        ({"genome-scores.csv": "movieId,tagId,relevance\n10,1,\n"}, "from 0 to 1"),
        ({"genome-tags.csv": "number,tag\n1,x\n"}, "cannot be read: .*tagId"),
    ],
)
def test_a_genome_that_does_not_fit_is_refused(tmp_path, change, said):
    write(tmp_path / "ml-20m", CSV | GENOME | change, "utf-8")
    with pytest.raises(DataError, match=said):
        load_movielens("20m", preprocess=True, item_feature="genome", data_home=tmp_path)


def test_releases_without_a_genome_say_so(tmp_path):
    write(tmp_path / "ml-10m", DAT, "utf-8")
    with pytest.raises(DataError, match="with ml-20m and ml-25m only, ml-10m has none"):
        load_movielens("10m", preprocess=True, item_feature="genome", data_home=tmp_path)
    for settings in ({"name": "ml-10m"}, {"source": "synthetic"}):
        with pytest.raises(ValidationError, match="item_feature genome is published with"):
            DataSettings(**settings, item_feature="genome")
    assert DataSettings(name="25M", item_feature="genome").item_feature == "genome"


def test_checksums_are_md5():
    assert all(
        r.md5 is None or int(r.md5, 16) < 16**32 == 16 ** len(r.md5) for r in RELEASES.values()
    )
    assert list(AGE_BANDS) == sorted(AGE_BANDS)


@pytest.mark.parametrize(
    ("name", "n_users", "n_items", "n_ratings", "n_positives"),
    [
        ("ml-100k", 943, 1682, 100_000, 55_375),
        ("ml-1m", 6040, 3706, 1_000_209, 575_281),
        ("ml-latest-small", 610, 9724, 100_836, 48_580),
    ],
)
def test_the_published_counts(name, n_users, n_items, n_ratings, n_positives):
    data = load_movielens(
        name, preprocess=True, rating_threshold=4.0, item_feature="both", data_home=real(name)
    )
    assert (data.n_users, data.n_items) == (n_users, n_items)
    assert data.n_positives + data.n_negatives == n_ratings
    assert data.n_positives == n_positives
    made = data.to_interactions()
    assert (np.diff(made.item_features.indptr) >= 2).all()  # itself and at least one genre


def test_every_user_of_the_real_data_has_metadata():
    made = load_movielens(
        "ml-1m", preprocess=True, user_feature="metadata", data_home=real("ml-1m")
    ).to_interactions()
    assert (np.diff(made.user_features.indptr) == 3).all()
    assert made.user_features.n_features == 7 + 2 + 21
