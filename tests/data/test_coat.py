import os
from pathlib import Path

import numpy as np
import pytest

from hbpr.data import load_coat, load_data
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import DataSettings, SplitSettings

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("HBPR_DATA_HOME") or _SHARED)


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "coat"
    features = folder / "user_item_features"
    features.mkdir(parents=True)
    (folder / "train.ascii").write_text("5 1 4 0 \n0 5 2 4 \n")
    (folder / "test.ascii").write_text("0 4 1 0 \n2 0 0 5 \n")
    (features / "user_features.ascii").write_text("1 0\n0 1\n")
    (features / "user_features_map.txt").write_text("gender:men\ngender:women")
    (features / "item_features.ascii").write_text("1\n0\n1\n1\n")
    (features / "item_features_map.txt").write_text("color:red\n")
    return tmp_path


def test_what_is_rated_for_test_is_not_learnt(home, caplog):
    caplog.set_level("INFO")
    data = load_coat(data_home=home).to_interactions(SplitSettings(kind="fixed", validation=0.0))
    assert "3 pairs are rated in both parts" in caplog.text
    lists = {
        name: [getattr(data, name).of(u).tolist() for u in (0, 1)]
        for name in ("train", "train_negatives", "test", "test_negatives")
    }
    assert lists == {
        "train": [[0], [1]],
        "train_negatives": [[], [2]],
        "test": [[1], [3]],
        "test_negatives": [[2], [0]],
    }


def test_flags_are_features(home):
    data = load_coat(item_feature="metadata", user_feature="both", data_home=home)
    whole = data.to_interactions(SplitSettings(kind="fixed"))
    assert whole.item_feature_names == ("color=red",)
    assert whole.user_feature_names == ("0", "1", "gender=men", "gender=women")
    assert whole.user_features.to_csr().toarray().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]


def test_broken_files_are_named(home):
    (home / "coat" / "user_item_features" / "item_features.ascii").write_text("1\n0\n")
    with pytest.raises(DataError, match=r"item features are \(2, 1\), expected \(4, 1\)"):
        load_coat(item_feature="both", data_home=home)
    (home / "coat" / "test.ascii").write_text("a b")
    with pytest.raises(DataError, match=r"test.ascii cannot be read"):
        load_coat(data_home=home)
    (home / "coat" / "test.ascii").unlink()
    with pytest.raises(DatasetMissingError, match=r"test.ascii not found. Get the dataset from"):
        load_coat(data_home=home)


def test_the_real_counts(monkeypatch):
    if not (REAL / "coat").is_dir():
        pytest.skip(f"no coat in {REAL}; set HBPR_DATA_HOME")
    monkeypatch.setenv("HBPR_DATA_HOME", str(REAL))
    data = load_data(DataSettings(source="coat", item_feature="metadata", candidates="observed"))
    assert (data.n_users, data.n_items, data.item_features.n_features) == (290, 300, 33)
    log = data.train, data.validation, data.train_negatives, data.validation_negatives
    assert sum(part.n_pairs for part in log) == 6960 - 366
    tested = data.test.counts + data.test_negatives.counts
    np.testing.assert_array_equal(tested, 16)
    assert data.test_candidates is data.test_negatives
