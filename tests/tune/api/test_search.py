"""What `hbpr.search` is asked for, before Ray starts."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import hbpr
from hbpr.cli.main import cli, run
from hbpr.data import load_data
from hbpr.errors import ConfigError, DataError, SpaceError
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings
from tune.api import search as module
from tune.api import study as study_module
from tune.settings import StudyPlan, SweepSettings

SPACE = {"optimizer.lr": {"low": 0.01, "high": 0.5, "log": True}}
USERS, ITEMS = (each.ravel() for each in np.indices((20, 12)))
CHOSEN = (USERS + ITEMS) % 2 == 0
FRAME = {"user": USERS[CHOSEN], "item": ITEMS[CHOSEN]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would have been run."""
    found: dict[str, Any] = {}

    def note(plan: StudyPlan, **options: Any) -> str:
        found.update(plan=plan, **options)
        return "study"

    monkeypatch.setattr(module, "run_until_stopped", note)
    return found


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "run_study", lambda *_, **__: pytest.fail("it was run"))


def test_every_key_of_a_sweep_section_is_an_argument() -> None:
    named = inspect.signature(hbpr.search).parameters
    more = module.MoreOfSweep.__annotations__
    assert set(SweepSettings.model_fields) - {"mode"} == (
        set(named) & set(SweepSettings.model_fields)
    ) | set(more)
    assert inspect.getdoc(hbpr.search)
    for name in named:
        assert f"{name}: " in (hbpr.search.__doc__ or ""), name


def test_arguments_are_the_keys_of_a_file(asked: dict[str, Any]) -> None:
    hbpr.search(
        {"source": "synthetic"},
        space={"optimizer.lr": hbpr.LogUniform(0.01, 0.5), "model.n_latent": [4, 8]},
        metric="val/recall_at_20",
        num_trials=7,
        search="random",
        scheduler={"kind": "asha", "grace_period": 3},
        budget={"wall_s": 60.0},
        constraints=["model.n_latent * optimizer.lr < 4"],
        final={"top": 2},
        experiment="mine",
        cpus=2,
    )
    sweep = asked["plan"].settings.sweep
    assert (sweep.metric, sweep.num_trials, sweep.search.algorithm) == (
        "val/recall_at_20",
        7,
        "random",
    )
    assert sweep.scheduler.label == "asha 3:3"
    assert (sweep.budget.wall_s, sweep.final.top, len(sweep.constraints)) == (60.0, 2, 1)
    assert sweep.space["optimizer.lr"] == {"low": 0.01, "high": 0.5, "log": True}
    settings = asked["plan"].settings
    assert settings.mlflow.experiment_name == "mine"
    assert settings.model.similarity == "cosine"  # a start that ranks well
    assert (asked["data"], asked["cpus"]) == (None, 2)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_data_frames(asked: dict[str, Any], make: Any) -> None:
    frame = make({"customer": FRAME["user"], "sku": FRAME["item"]})
    hbpr.search(frame, columns={"user": "customer", "item": "sku"}, space=SPACE)
    assert asked["data"].n_users == 20
    data = asked["plan"].settings.data
    assert (data.source, data.name) == ("memory", "data")
    assert asked["plan"].settings.mlflow.experiment_name == "data"


def test_the_split_of_data_in_memory(asked: dict[str, Any]) -> None:
    base = {"data": {"name": "shop", "split": {"train": 0.5, "validation": 0.25}}}
    hbpr.search(pd.DataFrame(FRAME), base=base, space=SPACE)
    halves = asked["data"].train.n_pairs
    assert (asked["data"].name, asked["plan"].settings.data.name) == ("shop", "shop")
    assert 50 <= halves <= 70

    data = hbpr.UserItemData("own")
    data.add_positive_interactions(FRAME["user"], FRAME["item"])
    data.split_train_test(0.8)
    hbpr.search(data, base=base, space=SPACE)
    assert asked["data"].train.n_pairs > halves  # its own choice stays
    assert asked["plan"].settings.data.name == "own"

    ready = asked["data"]
    hbpr.search(ready, base=hbpr.TrainingPipeline.create_default_config(), space=SPACE)
    assert asked["data"] is ready
    assert asked["plan"].settings.data.source == "memory"


def test_a_source(asked: dict[str, Any]) -> None:
    settings = DataSettings(source="synthetic", synthetic=SyntheticSettings(n_users=30))
    hbpr.search(settings, space=SPACE)
    assert asked["plan"].settings.data == settings
    hbpr.search(space=SPACE, base=TrialSettings(data=settings))
    assert asked["plan"].settings.data == settings
    assert asked["data"] is None


def test_a_file_under_arguments(asked: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "data: {source: synthetic}\nmlflow: {experiment_name: filed}\n"
        "sweep:\n  num_trials: 3\n  space: {model.n_latent: [4, 8]}\n"
    )
    hbpr.search(base=path)
    assert asked["plan"].n_trials == 3
    hbpr.search(base=str(path), num_trials=5, space=SPACE)
    assert (asked["plan"].n_trials, asked["plan"].space.keys) == (5, {"optimizer.lr"})
    assert asked["plan"].settings.mlflow.experiment_name == "filed"
    path.write_text("data: {source: synthetic}\nsweep: {model.n_latent: [4, 8]}\n")
    hbpr.search(base=path)  # the short form
    assert asked["plan"].algorithm == "grid"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"optimizer.lrr": [0.1]}}, "optimizer.lrr: no such setting. Did you mean"),
        ({"space": {"optimizer.lr": {"lo": 1, "high": 2}}}, "optimizer.lr: unknown key 'lo'."),
        ({"space": {"optimizer.lr": hbpr.LogUniform(1, 0.1)}}, "low must be below high"),
        ({"space": {}}, "space: name at least one setting to search"),
        ({}, "space: name at least one setting to search"),
    ],
)
def test_a_wrong_space(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        hbpr.search({"source": "synthetic"}, **arguments)
    assert message in str(caught.value)


def test_an_unknown_key_has_the_message_of_a_file(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("sweep:\n  space:\n    optimizer.lr: [0.1, 0.2]\n    model.n_latnt: [1, 2]\n")
    assert run(cli, ["tune", str(path)]) == 2
    of_file = capsys.readouterr().err.removeprefix("error: ").strip()
    with pytest.raises(SpaceError) as caught:
        hbpr.search(space={"optimizer.lr": [0.1, 0.2], "model.n_latnt": [1, 2]}, base={})
    assert of_file == f"{path}, line 4, {caught.value}"
    with pytest.raises(SpaceError) as caught:
        hbpr.search(base=path)
    assert str(caught.value) == of_file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_trails": 3}, "sweep.num_trails: unknown key. Did you mean num_trials?"),
        ({"num_trials": 0}, "sweep.num_trials: must be greater than or equal to 1, got 0"),
        ({"metric": "val/ndgc_at_10"}, "sweep.metric: a metric is val/ or test/"),
        ({"search": "tpee"}, "sweep.search.algorithm: must be tpe,"),
        ({"scheduler": "ashaa"}, "sweep.scheduler.kind: must be asha,"),
        ({"base": {"model": {"n_latnt": 3}}}, "model.n_latnt: unknown key. Did you mean n_latent?"),
        ({"base": 3}, "base: expected nested dictionaries of settings"),
        ({"base": "nowhere.yaml"}, "nowhere.yaml: no such file"),
    ],
)
def test_wrong_settings(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hbpr.search({"source": "synthetic"}, **{"space": SPACE, **arguments})
    assert message in str(caught.value)


def test_wrong_data() -> None:
    with pytest.raises(DataError, match="expected a data frame of pandas, polars or Arrow, got"):
        hbpr.search(7, space=SPACE)
    with pytest.raises(DataError, match="custmer"):
        hbpr.search(pd.DataFrame(FRAME), columns={"user": "custmer"}, space=SPACE)
    with pytest.raises(ConfigError, match=r"data\.source: must be movielens"):
        hbpr.search({"source": "movilens"}, space=SPACE)


def test_data_in_memory_are_no_source_that_can_be_read() -> None:
    with pytest.raises(DataError, match="given in memory"):
        load_data(DataSettings(source="memory", name="mine"))


class TestPipeline:
    """`TrainingPipeline` starts the same search."""

    def test_a_sweep_section(self, asked: dict[str, Any]) -> None:
        config = hbpr.TrainingPipeline.create_default_config()
        config["sweep"] = {"model.n_latent": [4, 8], "optimizer.lr": hbpr.Choice([0.01, 0.1])}
        pipeline = hbpr.TrainingPipeline(config)
        assert pipeline.run(pd.DataFrame(FRAME), sweep=True) == "study"
        assert asked["plan"].n_trials == 4
        assert asked["data"].n_users == 20

    def test_a_path(self, asked: dict[str, Any], tmp_path: Path) -> None:
        path = tmp_path / "study.yaml"
        path.write_text("data: {source: synthetic}\nsweep:\n  space: {model.n_latent: [4, 8]}\n")
        hbpr.TrainingPipeline(path).run(sweep=True)
        assert asked["plan"].space.keys == {"model.n_latent"}
        path.write_text("data: {source: synthetic}\nsweep:\n  space: {model.n_latnt: [4, 8]}\n")
        with pytest.raises(SpaceError, match=r"study.yaml, line 3, model.n_latnt: no such"):
            hbpr.TrainingPipeline(path)
        path.write_text("data: {source: synthetic}\ntraining: {n_itr: 3}\n")
        with pytest.raises(ConfigError, match=r"study.yaml, line 2, training.n_itr: unknown"):
            hbpr.TrainingPipeline(path)

    def test_nothing_to_search(self) -> None:
        with pytest.raises(ConfigError, match="the settings have no sweep section"):
            hbpr.TrainingPipeline({}).run(sweep=True)
        config = {"sweep": {"model.n_latent": [4, 8]}}
        with pytest.raises(ConfigError, match="on_epoch hears of one training"):
            hbpr.TrainingPipeline(config).run(sweep=True, on_epoch=print)  # type: ignore[call-overload]
