"""The examples of CONTRIBUTING.md do what they say."""

import re
from pathlib import Path

import pytest

from hbpr.baselines import BASELINES
from hbpr.baselines.choose import choose_baselines
from hbpr.data import load_data
from hbpr.data.sources import SOURCES
from hbpr.evaluation import evaluate_part
from hbpr.names import METRICS
from hbpr.settings.models import DataSettings, TrialSettings
from hbpr.training import Trainer
from hbpr.training.losses import LOSSES
from tune.schedulers import SCHEDULERS

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
SECTIONS = [part.partition("\n") for part in TEXT.split("### Adding a ")[1:]]
BLOCKS = [
    (name, code.group(1))
    for name, _, text in SECTIONS
    if (code := re.search(r"```python\n([^`]*)```", text))
]
TABLES = {"loss": LOSSES, "metric": METRICS, "source": SOURCES, "baseline": BASELINES}


@pytest.fixture
def examples():
    before = {name: set(table) for name, table in TABLES.items()}
    for name, code in BLOCKS:
        exec(compile(code, f"CONTRIBUTING.md, {name}", "exec"), {})
    yield {name: set(table) - before[name] for name, table in TABLES.items()}
    for name, table in TABLES.items():
        for added in set(table) - before[name]:
            table.remove(added)
    SCHEDULERS.remove("floor")  # `test_scheduler` runs a study with it


def test_each_example_adds_one_entry_that_works(examples):
    assert examples == {
        "loss": {"squared_loss"},
        "metric": {"mean_rank"},
        "source": {"breakfast"},
        "baseline": {"recent"},
    }
    assert load_data(DataSettings(source="breakfast")).n_items == 3
    settings = TrialSettings.model_validate(
        {
            "data": {"source": "synthetic", "synthetic": {"n_users": 60, "n_items": 40}},
            "optimizer": {"lr": 0.02},
            "training": {"loss_function": "squared_loss", "n_iter": 5, "engine": "fused"},
        }
    )
    data = load_data(settings.data)
    reports = list(Trainer(data, settings))
    assert reports[-1].loss < reports[0].loss
    (recent,) = (b for b in choose_baselines(data, settings.training) if b.name == "recent")
    metrics = evaluate_part(recent.fit(data.train), data, "val", (10,)).metrics
    assert metrics["val/mean_rank"] > 1
