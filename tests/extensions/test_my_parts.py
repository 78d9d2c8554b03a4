"""Parts of one's own by their dotted paths: found, checked, searched with, saved and loaded."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import hbpr
from hbpr.cli.main import cli, run
from hbpr.contracts.metric import forget_metric, metrics_in_use
from hbpr.data import load_data
from hbpr.data.sources import SOURCES
from hbpr.errors import ConfigError, DataError
from hbpr.inference import load
from hbpr.inference.system import RecommendationSystem
from hbpr.mlflow_log import _load_pyfunc
from hbpr.names import METRICS
from hbpr.settings.models import MODELS, TrialSettings
from hbpr.training import Trainer
from tune.schedulers import SCHEDULERS
from tune.settings import load_study

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "guides" / "your-own-parts.md"
STUDY = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, which holds the module; nothing of it is left afterwards."""
    shutil.copy(HERE / "my_parts.py", tmp_path / "my_parts.py")
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    sys.modules.pop("my_parts", None)
    for name, path in metrics_in_use().items():
        if path.startswith("my_parts"):
            forget_metric(name)
    for kinds in (MODELS, SCHEDULERS):
        for kind in [each for each in kinds.own if each.startswith("my_parts")]:
            kinds.remove(kind)


def small(**sections: Any) -> TrialSettings:
    raw: dict[str, Any] = {
        "data": {"source": "my_parts:two_camps"},
        "model": {"kind": "my_parts:ScaledFactorization", "n_latent": 4},
        "training": {
            "loss_function": "my_parts:focal_loss",
            "metrics": ["my_parts:early_hit"],
            "monitor": "val/early_hit_at_10",
            "n_iter": 4,
            "eval_every": 2,
        },
    }
    for name, section in sections.items():
        raw[name] = raw.get(name, {}) | section
    return hbpr.TrainingPipeline(raw).settings


def test_the_guide_shows_the_module() -> None:
    shown = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    code = (HERE / "my_parts.py").read_text("utf-8")
    parts = dict(re.findall(r"# --- a (\w+)\n(.*?)(?=\n\n\n# ---|\Z)", code, re.S))
    assert parts.keys() == {"loss", "metric", "model", "source", "scheduler"}
    for name, body in parts.items():
        assert any(body.strip() in block for block in shown), name


def test_they_train(folder: Path) -> None:
    settings = small()
    assert settings.model.kind == "my_parts:ScaledFactorization"
    data = load_data(settings.data)
    assert data.name == "two_camps"
    trainer = Trainer(data, settings)
    reports = list(trainer)
    assert reports[-1].loss < reports[0].loss
    assert 0.0 <= reports[-1].metrics["val/early_hit_at_10"] <= 1.0
    model = trainer.best_model()
    score = model.block_scorer()(np.arange(3))
    pairs = model.pair_scorer()(np.repeat(np.arange(3), 40), np.tile(np.arange(40), 3))
    np.testing.assert_allclose(score, pairs.reshape(3, 40), rtol=1e-4, atol=1e-5)


def test_settings_of_a_model_are_the_arguments_of_its_class(folder: Path) -> None:
    assert small(model={"scale": 0.5, "side": "user"}).model.model_dump()["scale"] == 0.5
    for model, message in (
        ({"scale": 0.0}, r"model\.scale: must be greater than 0, got 0\.0"),
        ({"n_latent": "4"}, r"model\.n_latent: must be a whole number, got '4'"),
        ({"side": "item"}, r"model\.side: must be both or user, got 'item'"),
        ({"scal": 1.0}, r"model\.scal: unknown key\. Did you mean scale\?"),
    ):
        with pytest.raises(ConfigError, match=message):
            small(model=model)


def test_a_study_file(folder: Path) -> None:
    plan = load_study("study.yaml")
    assert plan.space.keys == {"model.scale", "optimizer.lr", "training.loss_function"}
    assert plan.goals.objectives[0].metric == "val/early_hit_at_10"
    assert plan.scheduler.label == "my_parts:Halfway"
    settings = plan.settings
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    assert run(cli, ["config", "check", "study.yaml"]) == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.loss_function=my_parts:focal_los",
            "has no 'focal_los', got my_parts:focal_los. Did you mean focal_loss? It has",
        ),
        (
            "training.loss_function=my_prts:focal_loss",
            "there is no module my_prts, got my_prts:focal_loss. Did you mean my_parts?",
        ),
        (
            "training.loss_function=my_parts:early_hit",
            "--set training.loss_function: my_parts:early_hit: a loss is a torch function",
        ),
        ("training.loss_function=hbpr.nothing:x", "there is no module hbpr.nothing"),
        ("training.metrics=[my_parts:Halfway]", "a metric is a function of ranks"),
        ("training.metrics=[ndcg]", "; or the dotted path of a metric of your own"),
        (
            "model.kind=my_parts:focal_loss",
            "a model is a class that derives from hbpr.models.FeatureRecommender, got function",
        ),
        ("model.kind=my_parts:Halfway", "which does not; it lacks score, vector_scorer, forward"),
        ("data.source=my_parts:focal_loss", "it cannot be called with the settings alone"),
        (
            "sweep.scheduler.kind=my_parts:two_camps",
            "a scheduler is a class that derives from tune.schedulers.SchedulerSettings",
        ),
        (
            "sweep.scheduler.kind=tune.schedulers:SchedulerSettings",
            "SchedulerSettings lacks make of the contract",
        ),
        (
            "model.kind=hbpr.models:FeatureRecommender",
            "FeatureRecommender lacks score, vector_scorer of the contract",
        ),
    ],
)
def test_what_is_wrong_is_told(folder: Path, capsys: Any, override: str, message: str) -> None:
    assert run(cli, ["config", "check", "study.yaml", "--set", override]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert f"--set {override.partition('=')[0]}" in told
    assert "Traceback" not in told


def test_a_module_that_fails_on_import(folder: Path, capsys: Any) -> None:
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    override = "training.loss_function=broken:loss"
    assert run(cli, ["config", "check", "study.yaml", "--set", override]) == 2
    told = capsys.readouterr().err
    assert "importing the module broken failed, got broken:loss: ModuleNotFoundError" in told


def test_a_saved_model_is_loaded_where_its_parts_are_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small()
    data = load_data(settings.data)
    trainer = Trainer(data, settings)
    for _ in trainer:
        pass
    system = RecommendationSystem(trainer.best_model(), data, settings, {})
    system.save(folder / "saved")
    with pytest.raises(DataError) as caught:
        RecommendationSystem.load(folder / "saved")
    for path in ("my_parts:ScaledFactorization", "my_parts:focal_loss", "my_parts:two_camps"):
        assert f"got {path}. Where you trust it, allow it by name: allow=['{path}']" in str(
            caught.value
        )
    loaded = RecommendationSystem.load(folder / "saved", allow=["my_parts"])
    assert loaded.recommend([1]).equals(system.recommend([1]))
    with pytest.raises(DataError, match="Where you trust it, allow it by name"):
        load(folder / "saved")
    with pytest.raises(DataError, match="HBPR_ALLOW=my_parts for MLflow's loader"):
        _load_pyfunc(str(folder / "saved"))
    monkeypatch.setenv("HBPR_ALLOW", "another, my_parts")
    listed = _load_pyfunc(str(folder / "saved")).predict(pd.DataFrame({"user": [1]}))
    assert listed["item"].tolist() == system.recommend([1])["item"].tolist()
    served = load(folder / "saved", allow=["my_parts"])
    assert served.recommend([1])["item"].tolist() == system.recommend([1])["item"].tolist()
    history = system.data.item_ids[:3].tolist()
    expected = system.recommend_for_history(history)["item"].tolist()
    assert served.recommend_for_history(history)["item"].tolist() == expected


def test_objects_in_python(folder: Path) -> None:
    sys.path.append(str(folder))
    import my_parts

    config = {
        "data": {"source": my_parts.two_camps},
        "model": {"kind": my_parts.ScaledFactorization, "n_latent": 4},
        "training": {"loss_function": my_parts.focal_loss, "metrics": [my_parts.early_hit]},
    }
    settings = hbpr.TrainingPipeline(config).settings
    named = small(training={"monitor": settings.training.monitor})
    assert settings.training.loss_function == named.training.loss_function
    assert settings.training.metrics == named.training.metrics
    assert (settings.data, settings.model) == (named.data, named.model)
    with pytest.raises(ConfigError, match="define it with `def` or `class` at the top"):
        hbpr.TrainingPipeline({"training": {"loss_function": lambda p, n: p}})


def test_a_metric_keeps_off_the_names_of_others(folder: Path) -> None:
    (folder / "mine.py").write_text("def ndcg(ranks, k): ...\ndef early_hit(ranks, k): ...\n")
    with pytest.raises(
        ConfigError, match="the metric ndcg is hbpr's own, or was added; give yours"
    ):
        small(training={"metrics": ["mine:ndcg"]})
    small()
    assert "early_hit" in METRICS
    with pytest.raises(ConfigError, match="the metric early_hit is my_parts:early_hit; give yours"):
        small(training={"metrics": ["mine:early_hit"]})


def test_a_source_of_ones_own_is_not_listed(folder: Path) -> None:
    small()
    assert "my_parts:two_camps" not in list(SOURCES)


def test_the_study_file_is_yaml() -> None:
    assert yaml.safe_load(STUDY)["model"]["kind"] == "my_parts:ScaledFactorization"
