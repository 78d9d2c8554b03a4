"""A saved recommender's folder: whole or refused, and nothing in it runs."""

import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hbpr.errors import DataError
from hbpr.inference import load
from hbpr.inference.folder import ABOUT, ARRAYS, read_about, read_folder, write_about, write_folder
from hbpr.inference.loaded import LoadedModel

FIXTURES = Path(__file__).parents[1] / "fixtures" / "format_1"
RAN = "hbpr_test_ran"


class Bomb:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.putenv, (RAN, "1"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from hbpr.inference.system import RecommendationSystem

    RecommendationSystem.load(FIXTURES / "mf").save(tmp_path / "model")
    return tmp_path / "model"


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {
        "texts": np.array(["", "Jörg/1 x", "日本", "\ud800"]),
        "none": np.array([], dtype="<U5"),
        "numbers": np.arange(6, dtype=np.float64).reshape(2, 3),
        "one": np.array(0.5, np.float32),
        "flags": np.array([True, False]),
        "wide": np.array([2**62], np.int64),
    }
    write_folder(tmp_path / "model", arrays, {"hbpr": "1"})
    found, about = read_folder(tmp_path / "model")
    assert about["hbpr"] == "1"
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_folder_cut_short_is_refused(folder: Path) -> None:
    whole = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"must have [\d,]+ bytes, got .* not copied whole"):
        load(folder)
    (folder / ARRAYS).unlink()
    with pytest.raises(DataError, match=r"arrays\.safetensors is missing"):
        load(folder)


def test_a_changed_byte_is_refused(folder: Path) -> None:
    content = bytearray((folder / ARRAYS).read_bytes())
    content[-5] ^= 1
    (folder / ARRAYS).write_bytes(bytes(content))
    with pytest.raises(DataError, match="was changed after it was saved"):
        load(folder)


@pytest.mark.parametrize("change", [{"metrics": {"test/auc": 1.0}}, {"settings": {}}])
def test_a_changed_description_is_refused(folder: Path, change: dict[str, object]) -> None:
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(about | change))
    with pytest.raises(DataError, match=r"system\.json was changed after it was saved"):
        load(folder)


def test_a_newer_folder_names_who_can_read_it(folder: Path) -> None:
    write_about(folder, read_about(folder) | {"format": 3, "hbpr": "9.0"})
    with pytest.raises(DataError, match=r"of formats 1 and 2, got 3; .* \(9\.0\), or a newer one"):
        load(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": "2"}', "[" * 100_000, "\x00"]
)
def test_other_json_is_refused(folder: Path, text: str) -> None:
    (folder / ABOUT).write_text(text)
    with pytest.raises(DataError, match=str(folder)):
        load(folder)


def test_indices_that_reach_beyond_are_refused(folder: Path) -> None:
    """Whoever can write a folder can write its checksums too."""
    arrays, about = read_folder(folder)
    kept = {name: arrays[name] for name in arrays}
    plain = {key: value for key, value in about.items() if key not in ("arrays", "files")}
    for name, bad in (
        ("data/train/items", np.full_like(kept["data/train/items"], 10**6)),
        ("data/train/indptr", kept["data/train/indptr"][::-1].copy()),
        ("data/item_features/indices", kept["data/item_features/indices"] - 5),
    ):
        write_folder(folder, kept | {name: bad}, plain)
        with pytest.raises(DataError, match=r"damaged: data/(train|item_features): "):
            load(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    about = read_about(folder)
    about["arrays"]["model/U"][1] = [1, 1]
    write_about(folder, about)
    with pytest.raises(DataError, match=r"array model/U must be of <f4 \[1, 1\]"):
        load(folder)


def test_nothing_in_a_folder_runs(tmp_path: Path, folder: Path) -> None:
    """Pickles where arrays are looked for, and names of code where kinds are looked for."""
    old = shutil.copytree(FIXTURES / "mf", tmp_path / "old")
    with zipfile.ZipFile(old / "arrays.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    bomb = io.BytesIO()
    np.lib.format.write_array(bomb, np.array([Bomb()], object), allow_pickle=True)
    with zipfile.ZipFile(old / "arrays.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, bomb.getvalue() if name == "model/U.npy" else content)
    with pytest.raises(DataError, match="damaged"):
        load(old)
    (old / "arrays.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="damaged"):
        load(old)
    (folder / ARRAYS).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="bytes"):
        load(folder)
    assert os.environ.get(RAN) is None

    shutil.copy(FIXTURES / "mf" / "arrays.npz", old)
    about = json.loads((FIXTURES / "mf" / ABOUT).read_text())
    about["settings"]["model"]["kind"] = "antigravity:fly"
    (old / ABOUT).write_text(json.dumps(about))
    for allow in ((), ("os",)):
        with pytest.raises(DataError, match="its code is not part of hbpr and would run here"):
            load(old, allow=allow)
    assert "antigravity" not in sys.modules


def test_a_folder_of_format_1_is_loaded(tmp_path: Path) -> None:
    model = LoadedModel.read(FIXTURES / "mf")
    assert (model.n_users, model.n_items) == (12, 15)
    assert model.recommend(k=3).groupby("user").size().max() == 3
