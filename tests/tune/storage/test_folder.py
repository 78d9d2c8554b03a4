import json
from pathlib import Path

import pytest

from hbpr.errors import StudyError
from tune.storage import folder as folders
from tune.storage.folder import read_settings

DATA = {"": "fingerprint"}
BEFORE = Path(__file__).parents[2] / "fixtures" / "format_1"


def test_a_start_that_fails_leaves_no_empty_folder(tmp_path: Path) -> None:
    experiment = tmp_path / "studies" / "small"
    (experiment / "another").mkdir(parents=True)
    with pytest.raises(KeyError), folders.removed_if_empty(experiment):
        raise KeyError
    assert experiment.exists()
    (experiment / "another").rmdir()
    with folders.removed_if_empty(experiment):
        pass
    assert experiment.exists()
    with pytest.raises(KeyError), folders.removed_if_empty(experiment):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}'])
def test_other_folders_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(StudyError, match="not the folder of a study"):
        read_settings(tmp_path)


def test_settings_of_another_version_are_told(small_study) -> None:
    folder = folders.create(small_study(), DATA)
    content = json.loads(folder.settings.read_text())
    content["settings"]["sweep"]["unknown"] = 1
    folder.settings.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="another version of hbpr"):
        read_settings(folder.path)
