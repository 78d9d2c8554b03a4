import json

import pytest

from hbpr.errors import ConfigError, StudyError
from tune.storage import folder as folders
from tune.storage.folder import read_settings
from tune.storage.resume import reopen, with_overrides

DATA = {"": "fingerprint"}


def test_what_says_nothing_about_a_trial_may_change(small_study) -> None:
    folder = folders.create(small_study(), DATA)
    changed = small_study(
        {
            "num_trials": 9,
            "max_concurrent": 1,
            "budget": {"wall_s": 5.0},
            "faults": {"max_retries": 0},
            "final": {"top": 2},
        }
    )
    assert reopen(folder.path, changed, DATA) == folder
    assert read_settings(folder.path) == (changed, DATA)
    with pytest.raises(StudyError, match=r"sweep\.num_trials: was 9, is now 4") as error:
        reopen(folder.path, small_study(), DATA)
    assert error.value.exit_code == 2


def test_a_finished_study_is_taken_up_again_for_more_trials(small_study) -> None:
    folder = folders.create(small_study(), DATA)
    folder.summary.write_text("{}")
    folder.drop_leftovers()
    with pytest.raises(StudyError, match="has come to its result"):
        reopen(folder.path, small_study(), DATA)
    reopen(folder.path, small_study({"num_trials": 5}), DATA)
    assert not folder.finished
    assert folder.checkpoints.is_dir()
    assert folder.summary.with_name("summary.before.json").exists()


def test_a_setting_that_came_later_had_its_default(small_study) -> None:
    folder = folders.create(small_study(), DATA)
    stored = json.loads(folder.settings.read_text())
    del stored["settings"]["training"]["precision"]
    folder.settings.write_text(json.dumps(stored))
    assert reopen(folder.path, small_study(), DATA) == folder
    with pytest.raises(StudyError, match=r'training\.precision: was "float32", is now "bfloat16"'):
        reopen(folder.path, small_study(training={"precision": "bfloat16"}), DATA)


def test_settings_come_back_and_may_be_overridden(small_study) -> None:
    settings = small_study(model={"hidden": [8, 4]})
    folder = folders.create(settings, DATA)
    again, fingerprints = read_settings(folder.path)
    assert again == settings
    assert fingerprints == DATA
    assert with_overrides(again, []) == again
    more = with_overrides(again, ["sweep.num_trials=9", "sweep.budget.wall_s=3"])
    assert (more.sweep.num_trials, more.sweep.budget.wall_s) == (9, 3.0)
    with pytest.raises(ConfigError, match=r"--set sweep\.num_trals"):
        with_overrides(again, ["sweep.num_trals=9"])
