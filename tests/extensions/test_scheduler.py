"""A scheduler is one file and one line in a table."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import ConfigError
from tune.schedulers import SCHEDULERS
from tune.settings import StudySettings, load_study, make_plan
from tune.storage.trials import read_journal
from tune.study import run_study

HERE = Path(__file__).parent


@pytest.fixture
def floor() -> Iterator[type[Any]]:
    """The settings of the scheduler, in the table as long as the test runs."""
    from .floor_scheduler import FloorSettings

    yield SCHEDULERS.add(FloorSettings)
    SCHEDULERS.remove("floor")


def written(folder: Path, scheduler: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(
        f"""
data: {{source: synthetic, synthetic: {{n_users: 80, n_items: 50, n_shown: 25}}}}
training: {{n_iter: 4, eval_every: 4, early_stopping_patience: 0}}
mlflow: {{tracking_uri: "sqlite:///{folder}/mlflow.db"}}
sweep:
  scheduler: {scheduler}
  search: {{algorithm: random}}
  num_trials: 6
  max_concurrent: 1
  storage: {folder}/studies
  space: {{optimizer.lr: {{low: 0.001, high: 0.5, log: true}}}}
"""
    )
    return path


def test_its_settings_are_checked(floor: type[Any], tmp_path: Path) -> None:
    plan = load_study(written(tmp_path, "{kind: floor, epoch: 2}"))
    assert plan.scheduler == floor(epoch=2, value=0.1)
    settings = plan.settings
    assert StudySettings.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ConfigError) as caught:
        load_study(written(tmp_path, "{kind: floor, interval: 3}"))
    assert str(caught.value) == (
        f"{tmp_path / 'study.yaml'}, line 6, sweep.scheduler.interval: kind floor has no such "
        "setting; it has epoch, value. interval belongs to kind pbt"
    )


def test_it_is_unknown_where_it_is_not_added(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be asha, .* or none, got 'floor'"):
        load_study(written(tmp_path, "{kind: floor}"))


def test_it_can_be_replayed(
    floor: type[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "curves.csv"
    rows = [f"{i},{epoch},{i / 10},{i}" for i in range(4) for epoch in (5, 10)]
    path.write_text("\n".join(["trial,epoch,value,x", *rows]))
    assert run(cli, ["simulate", str(path), "--sampler", "random", "--scheduler", "floor"]) == 0
    assert "random + floor" in capsys.readouterr().out


@pytest.mark.ray
@pytest.mark.usefixtures("tracking_uri")
def test_a_study(floor: type[Any], tmp_path: Path) -> None:
    plan = load_study(written(tmp_path, "{kind: floor, epoch: 2, value: 0.2}"))
    result = run_study(plan, cpus=1, progress=False)
    trials = read_journal(result.folder, plan.space)
    low = [trial.number for trial in trials if trial.reports[2] < 0.2]
    assert 0 < len(low) < len(trials)
    assert [trial.number for trial in trials if trial.state == "PRUNED"] == low
    assert {max(trials[number].reports) for number in low} == {2}
    assert make_plan(plan.settings) == plan


def test_contributing_shows_it() -> None:
    text = (HERE.parents[1] / "CONTRIBUTING.md").read_text()
    (shown,) = re.findall(r"^### Adding a scheduler\n.*?^```python\n(.*?)^```", text, re.M | re.S)
    _, _, code = (HERE / "floor_scheduler.py").read_text().partition("\n\n")
    assert shown == code
