"""What every source of the table must say of itself, and that settings are held to it."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from hbpr.data import load_data
from hbpr.data.sources import SOURCES
from hbpr.errors import DatasetMissingError
from hbpr.settings.models import DataSettings


def settings_of(name, **values):
    table = {"table": {"path": "missing.csv", "time": "when"}} if SOURCES[name].reads_table else {}
    return DataSettings.model_validate({"source": name, **table, **values})


@pytest.mark.parametrize("name", list(SOURCES))
class TestContract:
    def test_defaults_make_whole_settings(self, name):
        settings = settings_of(name)
        for key, value in SOURCES[name].defaults.items():
            found = getattr(settings, key)
            assert found == value or found.model_dump().items() >= value.items()

    def test_a_split_by_time_is_taken_where_there_are_times(self, name):
        source = SOURCES[name]
        if source.has_times(settings_of(name)):
            assert settings_of(name, split={"kind": "temporal"}, candidates="all")
        else:
            with pytest.raises(ValidationError, match="needs times"):
                settings_of(name, split={"kind": "temporal"}, candidates="all")

    def test_a_published_test_part_is_taken_where_there_is_one(self, name):
        folds = SOURCES[name].folds(settings_of(name))
        for fold in folds:
            split = {"kind": "fixed", "name": fold}
            assert settings_of(name, split=split, candidates="all").split.name == fold
        with pytest.raises(ValidationError, match=r"expected one of|no published test part|coat"):
            settings_of(name, split={"kind": "fixed", "name": "none"}, candidates="all")

    def test_lists_are_taken_where_they_are_published(self, name):
        if SOURCES[name].has_lists:
            split = {"kind": "leave_one_out"}
            assert settings_of(name, candidates="fixed", split=split).candidates == "fixed"
        else:
            with pytest.raises(ValidationError, match="fixed lists are published for ncf"):
                settings_of(name, candidates="fixed")

    def test_data_that_are_not_there_are_said_to_be_missing(self, name, tmp_path, monkeypatch):
        monkeypatch.setenv("HBPR_DATA_HOME", str(tmp_path))
        if name == "movielens":
            pytest.skip("fetched where it is not there: see test_fetch")
        if name == "synthetic":
            assert load_data(settings_of(name)).n_items > 0
            return
        with pytest.raises(DatasetMissingError):
            load_data(settings_of(name))


def test_checking_settings_of_any_source_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from hbpr.settings.models import DataSettings, TrialSettings\n"
        "from hbpr.data.sources import SOURCES\n"
        "TrialSettings(), SOURCES['table']\n"
        "[DataSettings(source=name) for name in SOURCES if name != 'table']\n"
        "found = {'torch', 'pandas', 'numpy', 'numba', 'scipy'} & sys.modules.keys()\n"
        "assert not found, found"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
