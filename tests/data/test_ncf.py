import os
from pathlib import Path

import numpy as np
import pytest

from hbpr.baselines import Popularity
from hbpr.data import load_data, load_ncf
from hbpr.errors import DataError, DatasetMissingError
from hbpr.evaluation import evaluate
from hbpr.settings.models import DataSettings, SplitSettings

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("HBPR_DATA_HOME") or _SHARED)


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "ncf"
    folder.mkdir()
    (folder / "ml-1m.train.rating").write_text(
        "0\t2\t1\t30\n0\t1\t5\t20\n0\t0\t5\t10\n1\t0\t3\t5\n1\t3\t3\t4\n"
    )
    (folder / "ml-1m.test.rating").write_text("0\t3\t4\t40\n1\t1\t4\t6\n")
    (folder / "ml-1m.test.negative").write_text("(0,3)\t4\t5\n(1,1)\t2\t5\n")
    return tmp_path


def test_reads_the_published_test_part_and_lists(home):
    data = load_ncf(data_home=home).to_interactions(
        SplitSettings(kind="leave_one_out"), candidates="fixed"
    )
    assert (data.n_users, data.n_items) == (2, 6)
    assert [data.test.of(0).tolist(), data.test.of(1).tolist()] == [[3], [1]]
    assert [data.validation.of(0).tolist(), data.validation.of(1).tolist()] == [[2], [0]]
    assert [data.test_candidates.of(u).tolist() for u in (0, 1)] == [[4, 5], [2, 5]]
    assert data.validation_candidates.counts.tolist() == [2, 2]
    assert data.train_negatives.n_pairs == 0


def test_says_what_is_missing_and_where_to_get_it(tmp_path, home):
    with pytest.raises(DatasetMissingError, match=r"pinterest-20.train.rating, .*github.com"):
        load_ncf("pinterest-20", data_home=home)
    (home / "ncf" / "ml-1m.test.negative").write_text("0,3\t4\n")
    with pytest.raises(DataError, match=r"a line must start with \(user,item\), got '0,3'"):
        load_ncf(data_home=home)
    (home / "ncf" / "ml-1m.train.rating").write_text("a\tb\n")
    with pytest.raises(DataError, match="cannot be read"):
        load_ncf(data_home=home)


def test_features_need_the_item_map(home):
    with pytest.raises(DatasetMissingError, match=r"ml-1m.item-map.tsv not found"):
        load_ncf(item_feature="both", data_home=home)


@pytest.fixture(scope="module")
def real():
    if not (REAL / "ncf").is_dir():
        pytest.skip(f"no ncf in {REAL}; set HBPR_DATA_HOME")
    os.environ.setdefault("HBPR_DATA_HOME", str(REAL))
    return load_data(DataSettings(source="ncf"))


def test_the_real_counts(real):
    assert (real.n_users, real.n_items) == (6040, 3706)
    assert [p.n_pairs for p in (real.train, real.validation, real.test)] == [988_129, 6040, 6040]
    assert set(real.validation_candidates.counts) == set(real.test_candidates.counts) == {99}
    seen = real.train.union(real.validation)
    for lists in (real.validation_candidates, real.test_candidates):
        assert not seen.contains(lists).any()
    # Some published lists hold the test item itself: a candidate counts once.
    assert real.test_candidates.contains(real.test).sum() == 156


def test_popularity_has_the_published_figures(real):
    seen = real.train.union(real.validation)
    found = evaluate(
        Popularity(seen),
        real.test,
        exclude=seen,
        top_k=(10,),
        part="test",
        candidates=real.test_candidates,
    )
    # Rendle et al., "Neural collaborative filtering vs. matrix factorization revisited", 2020.
    assert found.metrics["test/hr_at_10"] == pytest.approx(0.4535, abs=0.001)
    assert found.metrics["test/ndcg_at_10"] == pytest.approx(0.2543, abs=0.001)


def test_real_features_join_films_and_people(real):
    if not (REAL / "ml-1m").is_dir():
        pytest.skip(f"no ml-1m in {REAL}; set HBPR_DATA_HOME")
    data = load_ncf(item_feature="metadata", user_feature="metadata", data_home=REAL)
    whole = data.assemble()
    labels = [str(label) for group in whole.item_labels for label in group]
    first = whole.item_features.to_csr()[0].toarray()[0]
    # item 0 is movie 1193, "One Flew Over the Cuckoo's Nest (1975)::Drama"
    assert sorted(np.array(labels)[first > 0]) == ["decade=1970", "genre=Drama"]
    people = [str(label) for group in whole.user_labels for label in group]
    user = whole.user_features.to_csr()[0].toarray()[0]
    # user 0 is user 1 of users.dat: F, under 18, K-12 student
    assert sorted(np.array(people)[user > 0]) == [
        "age=<18",
        "gender=F",
        "occupation=K-12 student",
    ]
