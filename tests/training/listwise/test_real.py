"""On real data the start without a search ranks above the baselines, on validation."""

import os
from pathlib import Path

import pytest

from hbpr.baselines import Ease, Popularity
from hbpr.data import load_data
from hbpr.evaluation import evaluate_part
from hbpr.settings.load import with_values
from hbpr.settings.start import good_start
from hbpr.training import Trainer

REAL = Path(os.environ.get("HBPR_DATA_HOME") or Path(__file__).parents[4] / "shared" / "data")
METRIC = "val/ndcg_at_10"


@pytest.fixture(name="data", scope="module")
def _data():
    if not any((REAL / name).is_dir() for name in ("ml-100k", "movielens/ml-100k")):
        pytest.skip(f"no ml-100k in {REAL}; set HBPR_DATA_HOME")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HBPR_DATA_HOME", str(REAL.resolve()))
        return load_data(good_start().data)


def test_it_ranks_above_popularity_and_ease(data):
    """EASE with its best regularisation on this part: .2145."""
    settings = with_values(good_start(), {"training.n_iter": 16, "training.eval_every": 16})
    trainer = Trainer(data, settings)
    assert trainer.engine_name == "listwise"
    list(trainer)
    ease, popularity = (
        evaluate_part(baseline, data, "val", (10,)).metrics[METRIC]
        for baseline in (Ease.fit(data.train, regularisation=300.0), Popularity(data.train))
    )
    assert popularity < ease
    assert trainer.best_value is not None
    assert trainer.best_value > ease


def test_it_does_so_without_observed_negatives(data):
    values = {
        "training.negatives": {"kind": "all", "observed_weight": 1.0, "block_users": 128},
        "training.n_iter": 24,
        "training.eval_every": 24,
    }
    trainer = Trainer(data, with_values(good_start(), values))
    list(trainer)
    assert trainer.best_value is not None
    assert trainer.best_value > 0.2145  # EASE
