"""Four studies at once into one SQLite file."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

N_STUDIES, N_TRIALS, N_STEPS = 4, 10, 5
CONFIG = f"""
data: {{source: synthetic, synthetic: {{n_users: 60, n_items: 40, n_shown: 20}}}}
training: {{n_iter: {2 * N_STEPS}, eval_every: 2, early_stopping_patience: 0}}
mlflow: {{experiment_name: four}}
sweep:
  search: {{algorithm: random}}
  scheduler: {{kind: none}}
  num_trials: {N_TRIALS}
  space:
    optimizer.lr: {{low: 0.01, high: 0.5, log: true}}
"""


@pytest.mark.ray
@pytest.mark.long
def test_nothing_is_lost_and_no_database_is_locked(terminal: Any, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ["config.yaml", "--cpus", "1", "--no-progress", "--set"]
    studies = [
        terminal.start(tmp_path, *words, f"sweep.search.seed={seed}", program=terminal.TUNE)
        for seed in range(N_STUDIES)
    ]
    for study in studies:
        said = "".join(terminal.end(study))
        assert "locked" not in said
        assert "MLflow did not answer" not in said
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        runs = database.execute("select name, status from runs").fetchall()
        steps = database.execute(
            "select run_uuid, count(*) from metrics where key = 'val/auc' group by 1"
        ).fetchall()
        (versions,) = database.execute("select count(*) from model_versions").fetchone()
    assert {status for _, status in runs} == {"FINISHED"}
    names = Counter(name for name, _ in runs)
    assert len([name for name in names if name.startswith("study ")]) == N_STUDIES
    assert all(names[f"trial-{number:03d}"] == N_STUDIES for number in range(N_TRIALS))
    assert [count for _, count in steps] == [N_STEPS] * (N_STUDIES * N_TRIALS)
    assert versions == N_STUDIES
