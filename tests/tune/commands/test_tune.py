"""`hbpr tune` and `python -m tune` before Ray starts: help and bad input."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hbpr.cli.main import cli, run
from tune.commands.tune import tune

CONFIG = """\
data: {source: synthetic}
training: {n_iter: 4, eval_every: 2}
sweep:
  num_trials: 2
  space:
    optimizer.lr: {low: 0.01, high: 0.5, log: true}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["tune", "--help"]) == 0
    said = capsys.readouterr().out
    assert "hbpr tune configs/ml-100k.yaml --resume" in said
    assert "ray job submit" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "training.n_itr=5"], "--set training.n_itr: unknown key. Did you mean n_iter?"),
        (["--set", "sweep.space={optimizer.lrr: [1]}"], "Did you mean optimizer.lr?"),
        (["--set", "sweep.space={optimizer.lr: {low: 2, high: 1}}"], "low must be below high"),
        (["--set", "training.loss_function=bqr_loss"], "training.loss_function"),
        (["--address", "nowhere"], "expected HOST:PORT of a Ray head"),
        (["--address", "127.0.0.1:1", "--cpus", "1"], "--cpus sizes a private Ray"),
        (["--set", "data.split.train=0.95", "--set", "data.split.validation=0.0"], "validation"),
        (["--set", "mlflow.tracking_uri=file:///x"], "mlflow.tracking_uri"),
    ],
)
def test_bad_input(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(cli, ["tune", str(config), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(config.parent.glob("studies/*/*"))


def test_resume_without_a_study(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["tune", str(config), "--resume"]) == 2
    assert "--resume: no unfinished study of experiment 'hbpr'" in capsys.readouterr().err
    assert run(cli, ["tune", str(config), "--resume", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --resume nowhere: there is no such folder. Name a folder ")
    assert "Errno" not in said
    assert left_behind(config.parent) == ["config.yaml"]


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["Missing argument CONFIG"]),
        (["--resume"], ["hbpr tune CONFIG --resume", "hbpr study resume FOLDER"]),
        (["--resume", "a b"], ["hbpr tune CONFIG --resume", "hbpr study resume 'a b'"]),
    ],
)
def test_without_config_it_says_what_to_write(
    capsys: pytest.CaptureFixture[str], arguments: list[str], messages: list[str]
) -> None:
    assert run(cli, ["tune", *arguments]) == 2
    said = capsys.readouterr().err
    assert all(message in said for message in messages)


def test_python_m_tune_is_the_same_command(config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tune", str(config), "--set", "sweep.num_trials=0"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --set sweep.num_trials: ")


def test_importing_the_command_is_light() -> None:
    code = (
        "import sys, tune.commands.tune, tune.storage.folder; "
        "print({'torch', 'ray', 'mlflow', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"


def test_every_option_is_described() -> None:
    assert all(p.help for p in tune.params if isinstance(p, click.Option))
