"""Any name of an experiment, dataset or folder goes to MLflow and back."""

import sqlite3

import numpy as np
import pytest

from hbpr import TrainingPipeline, UserItemData
from hbpr.names import folder_name
from hbpr.tracking.registry import load_system, register_model
from hbpr.tracking.store import open_client

NAMES = ["Ann's shop", 'Ann "the" shop', "50%20 off?#x", "a/b:c", "Größe 商店", "x" * 500]
NAMES += ['Ann\'s "own" :shop']  # MLflow would write both quotes into a statement of its own


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:16])
def test_a_name_goes_to_mlflow_and_back(name, tmp_path, monkeypatch):
    folder = tmp_path / name.replace("/", "-")[:100]
    folder.mkdir()
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    data = UserItemData(name)
    data.add_positive_interactions(rng.integers(0, 30, 200), rng.integers(0, 20, 200))
    pipeline = TrainingPipeline(
        {
            "model": {"n_latent": 2},
            "training": {"n_iter": 1, "eval_every": 1},
            "mlflow": {"experiment_name": name},
        }
    )
    pipeline.run(data)
    assert (folder / "mlflow.db").is_file()
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["mlruns"]
    uri = pipeline.settings.mlflow.tracking_uri
    client = open_client(uri, create=False)
    experiment = client.get_experiment_by_name(name)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["hbpr.data"] == name
    assert "repeated" in run.data.tags["hbpr.left_out"]
    model = run.data.tags["hbpr.model"]
    tags = {"hbpr.metric": "m", "hbpr.data": "d", "hbpr.value": "1"}
    for _ in range(2):  # registering it again changes nothing
        found = register_model(client, name, model, run_id=run.info.run_id, tags=tags)
        assert (found.version, found.champion) == ("1", "1")
    system = load_system(f"models:/{found.name}@champion", uri)
    assert system.data.name == name
    with sqlite3.connect(folder / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:16])
def test_a_folder_can_have_the_name(name, tmp_path):
    (tmp_path / folder_name(name, ".+-", "study")).mkdir()
