"""Files of hybrid-bpr run as they stand."""

import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import ConfigError
from hbpr.settings import Document, TrialSettings, load_trial, validate
from tests.data.test_movielens import real
from tune.settings import load_study

STUDY = """\
model: {n_latent: 64, init_std: 0.1}
optimizer: {name: Adam, lr: 0.001, weight_decay: 0.0001}
training: {loss_function: bpr_loss, n_iter: 3000, batch_size: 100, eval_every: 10, top_k: 20,
  early_stopping_patience: 1000}
data: {item_feature: indicator, train_ratio_pos: 0.8}
mlflow: {experiment_name: movielens-runs, tracking_uri: "sqlite:///mlflow.db"}
sweep: {model.n_latent: [32, 64, 128], data.item_feature: [metadata, indicator, both]}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "hybrid.yaml"
    path.write_text(STUDY)
    return path


def test_its_keys_mean_what_they_meant(path):
    settings = load_trial(path)
    assert (settings.data.source, settings.data.name) == ("movielens", "ml-100k")
    assert settings.data.rating_threshold == 3.5
    assert (settings.data.split.train, settings.data.split.validation) == (0.8, 0.1)
    optimizer = settings.optimizer
    assert optimizer.name == "adam"
    assert {optimizer.reg_user, optimizer.reg_positive, optimizer.reg_bias} == {1e-4}
    assert settings.training.top_k == (20,)
    assert settings.training.monitor == "val/ndcg_at_20"
    assert TrialSettings.model_validate(settings.model_dump()) == settings


def test_its_sweep_is_a_grid(path):
    study = load_study(path, ["training.n_iter=2"]).settings
    assert study.sweep.metric == study.training.monitor == "val/ndcg_at_20"
    assert len(study.sweep.space) == 2


def test_it_is_checked_whole(path, capsys):
    assert run(cli, ["config", "check", str(path)]) == 0
    assert "a study of 9 trials over 2 settings on movielens ml-100k" in capsys.readouterr().out


def test_it_trains_as_it_stands(path, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HBPR_DATA_HOME", str(real("ml-100k")))
    monkeypatch.chdir(tmp_path)
    assert run(cli, ["train", str(path), "--set", "training.n_iter=2"]) == 0
    out = capsys.readouterr().out
    assert "943 users" in out
    assert "ndcg_at_20" in out
    assert "recorded in experiment movielens-runs" in out
    assert (tmp_path / "mlflow.db").is_file()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"optimizer": {"weight_decay": 0.1, "reg_user": 0.1}}, "weight_decay stands for reg_user"),
        ({"data": {"train_ratio_pos": 2}}, "train_ratio_pos must be between 0 and 1"),
        (
            {"data": {"train_ratio_pos": 0.8, "split": {"train": 0.5}}},
            "train_ratio_pos is split.tr",
        ),
        ({"data": {"train_ratio_neg": 0.8}}, "train_ratio_neg has no counterpart: .*data.split.tr"),
        ({"mlflow": {"tracking_uri": "./mlruns"}}, "must be sqlite:///FILE.db or http"),
    ],
)
def test_what_has_no_counterpart_is_named(data, said):
    with pytest.raises(ConfigError, match=said):
        validate(TrialSettings, Document(data, "x.yaml", {}))


@pytest.mark.parametrize("mark", [",", ";", "|", "\t", "::", ":"])
def test_signs_on_the_command_line_are_text(tmp_path, mark):
    path = tmp_path / "t.yaml"
    path.write_text("data: {source: table, table: {path: t.csv}}\n")
    settings = load_trial(path, [f"data.table.delimiter={mark}"])
    assert settings.data.table.delimiter == mark
    assert load_trial(path, ["data.table.delimiter=\\t"]).data.table.delimiter == "\t"
