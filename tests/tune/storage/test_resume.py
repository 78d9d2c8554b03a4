import json
import shutil
from pathlib import Path

import pytest

from hbpr.errors import ConfigError, StudyError
from hbpr.settings.models import MfSettings, MixedNegatives, NeuMFSettings
from hbpr.settings.stored import FORMAT, FORMAT_KEY
from tune.schedulers import AshaSettings
from tune.settings import make_plan
from tune.storage import folder as folders
from tune.storage.folder import read_settings
from tune.storage.resume import (
    check_is_study,
    has_more_to_do,
    reopen,
    study_named,
    unfinished_like,
    with_overrides,
)

DATA = {"": "fingerprint"}
BEFORE = Path(__file__).parents[2] / "fixtures" / "format_1"


def named(settings, study_id):
    folder = folders.StudyFolder(folders.experiment_folder(settings) / study_id)
    return folders.create(settings, DATA, folder=folder)


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


def test_a_job_that_is_started_again_finds_its_study(small_study) -> None:
    assert unfinished_like(small_study()) is None
    folder = folders.create(small_study(), DATA)
    assert unfinished_like(small_study()) == folder
    assert unfinished_like(small_study({"faults": {"max_retries": 0}})) == folder
    with pytest.raises(StudyError, match=r"has other settings:\n  training\.precision: was"):
        unfinished_like(small_study(training={"precision": "bfloat16"}))
    other = folders.create(small_study(), DATA)
    with pytest.raises(StudyError, match="2 unfinished studies of experiment") as error:
        unfinished_like(small_study())
    assert str(folder.path) in str(error.value)
    assert str(other.path) in str(error.value)
    other.settings.write_text("{}")  # a damaged one, or one of another version
    assert unfinished_like(small_study()) == folder
    other.summary.write_text("{}")
    assert unfinished_like(small_study()) == folder


def test_a_study_by_its_name(small_study) -> None:
    with study_named(small_study(), "20260101-000000-abcd") as found:
        assert found is None
    folder = named(small_study(), "20260101-000000-abcd")
    assert folder.study_id == "20260101-000000-abcd"
    with study_named(small_study(), folder.study_id) as found:
        assert found == folder
    for wrong in ("", "../other", "a b", ".hidden"):
        with (
            pytest.raises(StudyError, match="expected the id of a study"),
            study_named(small_study(), wrong),
        ):
            pass


def test_a_named_study_of_other_settings_is_refused_finished_or_not(small_study) -> None:
    folder = named(small_study(), "nightly")
    other = small_study(training={"precision": "bfloat16"})
    for _ in range(2):
        with (
            pytest.raises(StudyError, match=r"has other settings:\n  training\.precision: was"),
            study_named(other, "nightly"),
        ):
            pass
        assert has_more_to_do(folder, small_study()) is not folder.finished
        folder.summary.write_text("{}")
    with study_named(small_study({"num_trials": 9}), "nightly") as found:
        assert found == folder
    assert has_more_to_do(folder, small_study({"num_trials": 9}))


def test_a_folder_that_a_killed_driver_left_is_taken(small_study) -> None:
    folder = named(small_study(), "nightly")
    folder.settings.unlink()  # it was killed before it wrote them
    with study_named(small_study(), "nightly") as found:
        assert found is None
    assert named(small_study(), "nightly") == folder
    with pytest.raises(StudyError, match="another process has just started this study"):
        named(small_study(), "nightly")


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


def test_the_same_data_under_a_key_of_an_earlier_version_are_the_same(small_study) -> None:
    folder = folders.create(small_study(), {"settings as they were written then": "fingerprint"})
    assert reopen(folder.path, small_study(), {"settings as they are now": "fingerprint"}) == folder
    with pytest.raises(StudyError, match="the data: other users, items"):
        reopen(folder.path, small_study(), {"settings as they are now": "another"})


def test_settings_come_back_and_may_be_overridden(small_study) -> None:
    settings = small_study(model={"kind": "neumf", "hidden": [8, 4]})
    folder = folders.create(settings, DATA)
    again, fingerprints = read_settings(folder.path)
    assert again == settings
    assert fingerprints == DATA
    assert with_overrides(again, []) == again
    more = with_overrides(again, ["sweep.num_trials=9", "sweep.budget.wall_s=3"])
    assert (more.sweep.num_trials, more.sweep.budget.wall_s) == (9, 3.0)
    with pytest.raises(ConfigError, match=r"--set sweep\.num_trals"):
        with_overrides(again, ["sweep.num_trals=9"])


class TestStoredBefore:
    """Studies whose settings held the fields of all kinds."""

    def test_an_unfinished_study_is_taken_up_again(self, tmp_path: Path) -> None:
        path = tmp_path / "study"
        shutil.copytree(BEFORE / "unfinished_study", path)
        settings, fingerprints = read_settings(path)
        assert settings.model == MfSettings(n_latent=4)
        assert settings.training.negatives == MixedNegatives(observed=0.3)
        assert len(make_plan(settings).space.dimensions) == 3
        check_is_study(path)
        before = (path / "settings.json").read_text()
        assert reopen(path, settings, fingerprints).path == path
        assert (path / "settings.json").read_text() == before
        more = with_overrides(settings, ["sweep.num_trials=9"])
        reopen(path, more, fingerprints)
        stored = json.loads((path / "settings.json").read_text())
        assert stored[FORMAT_KEY] == FORMAT
        assert stored["settings"]["model"].keys() == MfSettings.model_fields.keys()
        assert read_settings(path) == (more, fingerprints)
        other = with_overrides(settings, ["training.negatives.observed=0.5"])
        with pytest.raises(StudyError, match=r"negatives\.observed: was 0\.3, is now 0\.5"):
            reopen(path, other, fingerprints)

    def test_a_finished_study_is_read(self) -> None:
        settings, fingerprints = read_settings(BEFORE / "finished_study")
        assert settings.model == NeuMFSettings(n_latent=4, hidden=(8, 4))
        assert settings.sweep.scheduler.kind == "median"
        assert fingerprints == {"": "0123456789abcdef"}

    def test_a_study_of_a_newer_hbpr_is_refused(self, small_study) -> None:
        folder = folders.create(small_study(), DATA)
        stored = json.loads(folder.settings.read_text())
        assert stored[FORMAT_KEY] == FORMAT
        folder.settings.write_text(json.dumps(stored | {FORMAT_KEY: FORMAT + 1}))
        for read in (lambda: read_settings(folder.path), lambda: check_is_study(folder.path)):
            with pytest.raises(StudyError, match=f"settings are of format {FORMAT + 1}") as error:
                read()
            assert error.value.exit_code == 2

    @pytest.mark.parametrize("name", ["finished", "unfinished"])
    def test_the_scheduler_keeps_the_fields_of_its_kind(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "study"
        shutil.copytree(BEFORE / name, path)
        stored = path / "settings.json"
        stored.write_text(stored.read_text().replace("@FOLDER@", str(tmp_path)))
        before = stored.read_text()
        assert "quantile" in before
        settings, fingerprints = read_settings(path)
        assert settings.sweep.scheduler == AshaSettings(grace_period=2, reduction_factor=3.0)
        assert make_plan(settings).n_trials == settings.sweep.num_trials
        if name == "unfinished":  # what its kind does not have is no change
            assert reopen(path, settings, fingerprints).path == path
            assert stored.read_text() == before
        other = with_overrides(settings, ["sweep.scheduler.kind=median"])
        with pytest.raises(StudyError, match=r'scheduler\.kind: was "asha", is now "median"'):
            reopen(path, other, fingerprints)
