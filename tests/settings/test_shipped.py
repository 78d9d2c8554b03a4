"""Settings that come with hbpr are found by name, from any folder."""

from pathlib import Path

import pytest

from hbpr.errors import ConfigError
from hbpr.reproductions.registry import ROWS, settings_path
from hbpr.settings.shipped import FOLDER, find_shipped, shipped_names
from hbpr.settings.yaml import load_yaml

ROOT = Path(__file__).parents[2]


def test_the_files_are_those_of_the_repository() -> None:
    assert FOLDER.resolve() == ROOT / "configs"
    assert shipped_names() == sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    assert all(settings_path(name).is_file() for name in ROWS)


@pytest.mark.parametrize(
    "name", ["quickstart", "quickstart.yaml", "configs/quickstart.yaml", "configs/quickstart"]
)
def test_a_name_is_enough_in_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_yaml(name).path == FOLDER / "quickstart.yaml"


def test_a_file_of_the_users_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart.yaml").write_text("model: {n_latent: 8}\n")
    assert load_yaml("quickstart.yaml").data == {"model": {"n_latent": 8}}


def test_nothing_outside_of_the_folder_is_found() -> None:
    assert find_shipped("reproductions/coat") == FOLDER / "reproductions" / "coat.yaml"
    for name in ("../configs/quickstart", "/quickstart", "", ".", "configs", "reproductions"):
        assert find_shipped(name) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [("quikstart", "Did you mean quickstart?"), ("elsewhere.yaml", "With hbpr come coat, ")],
)
def test_what_is_not_there_names_what_is(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_yaml(name)
    assert hint in str(caught.value)
