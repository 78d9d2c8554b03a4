"""The programs that new users type run as they stand, and leave the records they promise."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("HBPR_DATA_HOME") or ROOT.parent / "shared" / "data")

QUICK_START = """
from hbpr import MatrixFactorization, NeuMF, RecommendationSystem, load_movielens
import numpy as np
from hbpr import UserItemData, TrainingPipeline
rng = np.random.default_rng(42); n_users, n_items = 500, 200
ui = UserItemData(name="demo")
ui.add_positive_interactions(rng.integers(0, n_users, 5000), rng.integers(0, n_items, 5000))
ui.add_negative_interactions(rng.integers(0, n_users, 8000), rng.integers(0, n_items, 8000))
ui.add_user_features(np.arange(n_users), np.arange(n_users))
ui.add_item_features(np.arange(n_items), np.arange(n_items))
ui.split_train_test(train_ratio=0.8)
config = TrainingPipeline.create_default_config()
config['model']['n_latent'] = 32; config['training']['n_iter'] = 100
config['mlflow']['experiment_name'] = 'demo'
pipeline = TrainingPipeline(config=config)
system = pipeline.run(ui)
results = pipeline.run_grid_search(ui, param_grid={
    'model.n_latent': [32, 64, 128], 'optimizer.lr': [0.001, 0.01],
    'training.loss_function': ['bpr_loss', 'hinge_loss']}, num_processes=4)
data = load_movielens('ml-100k', preprocess=True)
"""


def _run(program: str, folder: Path) -> list[tuple[str, str, str]]:
    """Run a program in a folder; return (kind, status, experiment) of each run it recorded."""
    environment = os.environ | {"HBPR_DATA_HOME": str(REAL), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return database.execute(
            "select tags.value, runs.status, experiments.name from runs"
            " join tags on tags.run_uuid = runs.run_uuid and tags.key = 'hbpr.kind'"
            " join experiments on experiments.experiment_id = runs.experiment_id"
        ).fetchall()


def _count(runs: list[tuple[str, str, str]], *stopped: str) -> dict[str, int]:
    """Return runs by kind; those of some kinds may have been stopped early."""
    assert {status for _, status, _ in runs} <= {"FINISHED", "KILLED"}
    assert {kind for kind, status, _ in runs if status == "KILLED"} <= {*stopped}
    assert {experiment for *_, experiment in runs} == {"demo"}
    kinds = [kind for kind, *_ in runs]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


@pytest.mark.ray
def test_the_quick_start_runs_as_it_stands(tmp_path: Path) -> None:
    if not any((REAL / name).is_dir() for name in ("ml-100k", "movielens/ml-100k")):
        pytest.skip(f"no ml-100k in {REAL}; set HBPR_DATA_HOME")
    runs = _run(QUICK_START, tmp_path)
    assert _count(runs) == {"study": 1, "train": 1, "trial": 12}


@pytest.mark.ray
def test_the_program_in_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    runs = _run("\n".join(blocks), tmp_path)
    assert _count(runs, "trial") == {"study": 2, "train": 1, "trial": 8 + 4}
