"""Models on an object store, found by the URL of their study or their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hbpr.errors import ConfigError
from hbpr.inference.folder import write_folder
from hbpr.inference.locate import find_model, version_of
from hbpr.places import Place

from ..support.store import Store, running_store

STUDY = "s3://shop/studies/small/one"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def saved(store: Store, tmp_path: Path) -> Path:
    """A folder of a model, and a copy of it in a study of the store."""
    folder = tmp_path / "model"
    write_folder(folder, {"a": np.arange(3)}, {"name": "one"})
    for path in folder.iterdir():
        (Place.of(STUDY) / "model" / path.name).upload(path)
    return folder


@pytest.mark.parametrize("url", [STUDY, f"{STUDY}/model"])
def test_a_model_by_the_url_of_its_study_or_its_own(url: str, saved: Path, tmp_path: Path) -> None:
    found = find_model(url, tmp_path / "into")
    for path in saved.iterdir():
        assert (found.folder / path.name).read_bytes() == path.read_bytes()
    assert found == find_model(str(saved), tmp_path)._replace(folder=found.folder)
    assert version_of(url) == found.version


def test_another_model_has_another_version(saved: Path, tmp_path: Path) -> None:
    before = version_of(STUDY)
    shutil.rmtree(saved)
    write_folder(saved, {"a": np.arange(4)}, {"name": "two"})
    for path in saved.iterdir():
        (Place.of(STUDY) / "model" / path.name).upload(path)
    assert version_of(STUDY) != before


def test_a_study_without_a_model(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s3://shop/other: there is no model\. Give the URL"):
        find_model("s3://shop/other", tmp_path)
