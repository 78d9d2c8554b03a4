"""A kind from outside fits wherever settings are written, read and searched."""

from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from hbpr.data import load_data
from hbpr.errors import ConfigError, EngineError
from hbpr.settings import load_trial, with_values
from hbpr.settings.kinds import _KEPT
from hbpr.settings.models import NEGATIVES, TrialSettings, UniformNegatives
from hbpr.settings.problems import known_keys
from hbpr.settings.stored import up_to_date
from hbpr.training import Trainer


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(NEGATIVES, "_classes", dict(NEGATIVES._classes))
    path = Path(__file__).parents[1] / "fixtures" / "outside_kinds.py"
    spec = spec_from_file_location("outside_kinds", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for kept in _KEPT:
        kept.cache_clear()


def test_its_settings_are_read_and_searched(outside, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("training: {negatives: {kind: recent, days: 3, per_positive: 2}}\n")
    settings = load_trial(path)
    assert settings.training.negatives == outside.RecentNegatives(days=3, per_positive=2)
    assert "training.negatives.days" in known_keys(TrialSettings)
    stored = settings.model_dump(mode="json")
    assert TrialSettings.model_validate(up_to_date(stored, TrialSettings)) == settings
    back = with_values(settings, {"training.negatives.kind": "uniform"})
    assert back.training.negatives.model_dump().keys() == UniformNegatives.model_fields.keys()
    with pytest.raises(ConfigError, match="days belongs to kind recent"):
        with_values(back, {"training.negatives.days": 3})


@pytest.mark.parametrize("engine", ["auto", "fused", "autograd"])
def test_an_engine_that_cannot_draw_it_names_it(outside, engine):
    training = {"engine": engine, "negatives": {"kind": "recent"}}
    settings = TrialSettings.model_validate({"data": {"source": "synthetic"}, "training": training})
    with pytest.raises(EngineError, match="kind recent"):
        Trainer(load_data(settings.data), settings)
