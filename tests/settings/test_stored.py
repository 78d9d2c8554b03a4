"""Settings that were stored before: what is dropped, what stays, and which formats are known."""

import copy
import json
from pathlib import Path

import pytest

from hbpr.errors import DataError, FormatError
from hbpr.inference.folder import read_about, write_about
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.models import (
    MfSettings,
    MixedNegatives,
    NeuMFSettings,
    TrialSettings,
    UniformNegatives,
)
from hbpr.settings.stored import FORMAT, FORMAT_KEY, up_to_date

BEFORE = Path(__file__).parents[1] / "fixtures" / "format_1"
OF_ALL_KINDS = {
    "model": {"kind": "mf", "n_latent": 8, "hidden": [4], "dropout": 0.5},
    "training": {"negatives": {"observed": 0.3, "alpha": 1.0, "per_positive": 2}},
}


class TestMigration:
    def test_fields_of_other_kinds_go(self):
        before = copy.deepcopy(OF_ALL_KINDS)
        settings = TrialSettings.model_validate(up_to_date(before, TrialSettings))
        assert settings.model == MfSettings(n_latent=8)
        assert settings.training.negatives == UniformNegatives(per_positive=2)
        assert before == OF_ALL_KINDS

    def test_what_no_kind_has_stays_to_be_refused(self):
        raw = {"model": {"kind": "mf", "hiden": [4]}, "training": {"n_itr": 3}}
        assert up_to_date(raw, TrialSettings, 1) == raw
        unknown = {"model": {"kind": "tree", "hidden": [4]}}
        assert up_to_date(unknown, TrialSettings, 1) == unknown

    def test_the_format_of_today_is_read_as_it_stands(self):
        assert up_to_date(OF_ALL_KINDS, TrialSettings, FORMAT) == OF_ALL_KINDS
        dumped = TrialSettings().model_dump(mode="json")
        assert up_to_date(dumped, TrialSettings, 1) == dumped

    @pytest.mark.parametrize("number", [FORMAT + 1, 0, "2", [1]])
    def test_other_formats_are_refused(self, number):
        with pytest.raises(FormatError, match=rf"this hbpr reads up to {FORMAT}"):
            up_to_date({}, TrialSettings, number)


class TestSavedModels:
    @pytest.mark.parametrize("kind", ["mf", "neumf"])
    def test_a_model_saved_before_recommends_the_same(self, kind, tmp_path, monkeypatch):
        system = RecommendationSystem.load(BEFORE / kind)
        stored = json.loads((BEFORE / f"{kind}_lists.json").read_text())
        # the stored lists leave out what was liked alone, those of today what was disliked too
        monkeypatch.setattr(system, "met", system.seen)
        lists = system.recommend(k=3)
        assert {"user": lists["user"].tolist(), "item": lists["item"].tolist()} == {
            name: stored[name] for name in ("user", "item")
        }
        assert lists["score"].tolist() == pytest.approx(stored["score"], abs=1e-6)
        expected = {
            "mf": (MfSettings(n_latent=3), MixedNegatives(observed=0.3)),
            "neumf": (NeuMFSettings(n_latent=3, n_latent_mlp=2, hidden=(4,)), UniformNegatives()),
        }
        assert (system.settings.model, system.settings.training.negatives) == expected[kind]

        system.save(tmp_path / "again")
        about = json.loads((tmp_path / "again" / "system.json").read_text())
        assert about[FORMAT_KEY] == FORMAT
        assert about["settings"]["model"].keys() == type(system.settings.model).model_fields.keys()
        again = RecommendationSystem.load(tmp_path / "again")
        monkeypatch.setattr(again, "met", again.seen)
        assert again.recommend(k=3).equals(lists)

    def test_a_model_of_a_newer_hbpr_is_refused(self, tmp_path):
        folder = tmp_path / "newer"
        RecommendationSystem.load(BEFORE / "mf").save(folder)
        write_about(folder, read_about(folder) | {FORMAT_KEY: FORMAT + 1})
        with pytest.raises(DataError, match=rf"newer: the settings are of format {FORMAT + 1}"):
            RecommendationSystem.load(folder)
