"""One recorded run: what is trained, what MLflow holds of it, and how it ends."""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hbpr import TrainingPipeline, UserItemData
from hbpr.data import load_data
from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError, DivergedError, SpaceError
from hbpr.settings.models import TrialSettings
from hbpr.training import EpochReport

SMALL: dict[str, dict[str, Any]] = {
    "data": {"source": "synthetic", "synthetic": {"n_users": 60, "n_items": 40, "n_shown": 20}},
    "model": {"n_latent": 4},
    "training": {"n_iter": 4, "eval_every": 2, "device": "cpu"},
}


@pytest.fixture
def config(tracking_uri: str) -> Callable[..., dict[str, Any]]:
    """Default config with small data; keyword arguments are laid over its sections."""

    def make(**sections: dict[str, Any]) -> dict[str, Any]:
        config = TrainingPipeline.create_default_config()
        config["mlflow"] = {"experiment_name": "made", "tracking_uri": tracking_uri}
        for layer in (SMALL, sections):
            for name, section in layer.items():
                config[name] |= section
        return config

    return make


@pytest.fixture
def rows(tracking_uri: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Answer of the tracking database to a query."""

    def ask(query: str) -> list[tuple[Any, ...]]:
        path = Path(tracking_uri.removeprefix("sqlite:///"))
        with contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute(query).fetchall()

    return ask


def _statuses(rows: Callable[[str], list[tuple[Any, ...]]]) -> list[str]:
    return [status for (status,) in rows("select status from runs")]


class TestConfig:
    def test_the_default_config_is_a_start_without_a_search(self) -> None:
        config = TrainingPipeline.create_default_config()
        settings = TrialSettings.model_validate(config)
        assert (settings.model.similarity, settings.training.negatives.kind) == ("cosine", "auto")
        assert config.keys() == TrialSettings().model_dump().keys()
        config["model"]["n_latent"] = 3
        assert TrainingPipeline.create_default_config()["model"]["n_latent"] == 256

    def test_an_unknown_key_names_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"model\.n_latnt.*n_latent"):
            TrainingPipeline({"model": {"n_latnt": 3}})

    def test_a_value_out_of_bounds(self) -> None:
        with pytest.raises(ConfigError, match=r"optimizer\.lr: .*got -1"):
            TrainingPipeline({"optimizer": {"lr": -1.0}})

    def test_settings_are_taken_as_they_are(self) -> None:
        settings = TrialSettings.model_validate({"model": {"n_latent": 5}})
        assert TrainingPipeline(settings).settings.model == settings.model

    def test_the_config_is_not_changed(self, config) -> None:
        given = config()
        before = repr(given)
        TrainingPipeline(given)
        assert repr(given) == before


class TestRun:
    def test_records_one_finished_run(self, config, rows) -> None:
        system = TrainingPipeline(config()).run()
        assert _statuses(rows) == ["FINISHED"]
        params = dict(rows("select key, value from params"))
        assert params["model.n_latent"] == "4"
        assert params["optimizer.name"] == "adam"
        assert params["training.n_iter"] == "4"
        tags = dict(rows("select key, value from tags"))
        assert tags["hbpr.kind"] == "train"
        assert tags["hbpr.engine"] == "listwise"
        metrics: dict[str, dict[int, float]] = {}
        for key, step, value in rows("select key, step, value from metrics"):
            metrics.setdefault(key, {})[step] = value
        assert sorted(metrics["train/loss"]) == [1, 2, 3, 4]
        assert sorted(metrics["val/ndcg_at_10"]) == [2, 4]
        best, value = max(metrics["val/ndcg_at_10"].items(), key=lambda item: item[1])
        assert system.metrics["val/ndcg_at_10"] == value
        assert metrics["test/ndcg_at_10"] == {best: system.metrics["test/ndcg_at_10"]}
        assert rows("select count(*) from metrics where is_nan") == [(0,)]

    def test_tells_every_epoch(self, config) -> None:
        reports: list[EpochReport] = []
        TrainingPipeline(config()).run(on_epoch=reports.append)
        assert [r.epoch for r in reports] == [1, 2, 3, 4]
        assert reports[-1].done

    def test_the_system_is_the_best_epochs(self, config) -> None:
        """Scored again, its validation metrics are the best ones recorded."""
        overfit = config(
            model={"n_latent": 32},
            optimizer={"lr": 0.5, "reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0},
            training={"n_iter": 25, "eval_every": 1},
        )
        reports: list[EpochReport] = []
        system = TrainingPipeline(overfit).run(on_epoch=reports.append)
        values = [r.metrics["val/ndcg_at_10"] for r in reports]
        assert max(values) > values[-1]
        assert system.evaluate("val")["val/ndcg_at_10"] == max(values)
        assert system.evaluate("test")["test/ndcg_at_10"] == system.metrics["test/ndcg_at_10"]

    def test_takes_user_item_data(self, config) -> None:
        rng = np.random.default_rng(0)
        data = UserItemData("mine")
        data.add_positive_interactions(rng.integers(0, 30, 400), rng.integers(0, 20, 400))
        system = TrainingPipeline(config()).run(data)
        assert system.recommend([3], k=2).shape == (2, 4)

    def test_takes_interactions(self, config, rows) -> None:
        settings = TrialSettings.model_validate(SMALL)
        TrainingPipeline(config()).run(load_data(settings.data))
        assert _statuses(rows) == ["FINISHED"]

    def test_the_same_seed_gives_the_same_figures(self, config) -> None:
        one, two = (TrainingPipeline(config()).run().metrics for _ in "ab")
        assert one == two

    def test_without_a_test_part(self, config) -> None:
        data = load_data(TrialSettings.model_validate(SMALL).data)
        none = UserItems.empty(data.n_users, data.n_items)
        system = TrainingPipeline(config()).run(dataclasses.replace(data, test=none))
        assert "val/auc" in system.metrics
        assert "test/auc" not in system.metrics

    def test_without_a_validation_part(self, config, rows) -> None:
        data = load_data(TrialSettings.model_validate(SMALL).data).refit_on_validation()
        system = TrainingPipeline(config()).run(data)
        assert "test/auc" in system.metrics
        assert "val/auc" not in system.metrics
        assert rows("select distinct step from metrics where key = 'test/auc'") == [(4,)]


class TestEnds:
    def test_ctrl_c_closes_the_run_as_killed(self, config, rows) -> None:
        def interrupt(report: EpochReport) -> None:
            if report.epoch == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            TrainingPipeline(config()).run(on_epoch=interrupt)
        assert _statuses(rows) == ["KILLED"]
        steps = rows("select step from metrics where key = 'train/loss' order by step")
        assert steps == [(1,), (2,)]

    def test_divergence_closes_it_as_failed_and_says_why(self, config, rows) -> None:
        diverging = config(
            model={"similarity": "dot", "temperature": None, "init_std": 10.0},
            optimizer={"name": "sgd", "lr": 100.0, "reg_user": 1.0},
            training={"loss_function": "bpr_loss"},
        )
        with pytest.raises(DivergedError, match=r"epoch \d: .* learning rate 100; lower"):
            TrainingPipeline(diverging).run()
        assert _statuses(rows) == ["FAILED"]
        (reason,) = rows("select value from tags where key = 'hbpr.error'")
        assert "learning rate 100" in reason[0]

    def test_nothing_to_learn_from_opens_no_run(self, config, rows) -> None:
        data = load_data(TrialSettings.model_validate(SMALL).data)
        none = UserItems.empty(data.n_users, data.n_items)
        with pytest.raises(DataError, match="training part"):
            TrainingPipeline(config()).run(dataclasses.replace(data, train=none))
        assert _statuses(rows) == []


class TestGrid:
    """What is refused is refused before Ray starts."""

    def test_no_grid(self, config) -> None:
        with pytest.raises(ConfigError, match="param_grid: expected at least one dotted key"):
            TrainingPipeline(config()).run_grid_search(param_grid={})

    def test_a_key_that_does_not_exist(self, config, rows) -> None:
        with pytest.raises(SpaceError, match=r"model\.n_latnt.*model\.n_latent"):
            TrainingPipeline(config()).run_grid_search(param_grid={"model.n_latnt": [2, 4]})
        assert _statuses(rows) == []

    def test_a_value_that_breaks_its_rule(self, config, rows) -> None:
        with pytest.raises(SpaceError, match=r"optimizer\.lr"):
            TrainingPipeline(config()).run_grid_search(param_grid={"optimizer.lr": [0.1, -1.0]})
        assert _statuses(rows) == []

    def test_no_process_at_all(self, config, rows) -> None:
        with pytest.raises(ConfigError, match=r"max_concurrent: must be .* 1, got 0"):
            TrainingPipeline(config()).run_grid_search(
                param_grid={"model.n_latent": [2, 4]}, num_processes=0
            )
        assert _statuses(rows) == []
