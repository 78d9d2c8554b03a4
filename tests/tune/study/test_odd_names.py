"""A study of any name goes from the command line to MLflow and back."""

import json

import numpy as np
import pytest

from hbpr import RecommendationSystem
from hbpr.cli.main import cli, run
from hbpr.tracking.registry import load_system
from hbpr.tracking.store import open_client

NAMES = ['Ann\'s "50%20" off?#a/b:c Größe 商店', "x" * 500]


@pytest.mark.ray
@pytest.mark.parametrize(
    "name",
    [pytest.param(NAMES[0], id="signs"), pytest.param(NAMES[1], id="long", marks=pytest.mark.long)],
)
def test_a_name_goes_through_a_study(name, tmp_path, monkeypatch, capsys):
    folder = tmp_path / name.replace("/", "-")[:60]
    folder.mkdir()
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    rows = [f"u{u},i{i}" for u in range(60) for i in rng.permutation(25)[:8]]
    (folder / "t.csv").write_text("\n".join(["user,item", *rows, rows[0], ",i1"]) + "\n")
    settings = {
        "data": {"source": "table", "name": name, "table": {"path": "t.csv"}},
        "model": {"n_latent": 2},
        "training": {"n_iter": 2, "eval_every": 1},
        "mlflow": {"experiment_name": name},
        "sweep": {
            "max_concurrent": 1,
            "space": {"optimizer.lr": [0.1]},
            "search": {"algorithm": "grid"},
        },
    }
    (folder / "shop.yaml").write_text(json.dumps(settings), encoding="utf-8")
    assert run(cli, ["tune", "shop.yaml"]) == 0
    capsys.readouterr()
    [study] = [path.parent for path in (folder / "studies").rglob("summary.json")]
    uri = f"sqlite:///{str(folder / 'mlflow.db').replace('%', '%25').replace('?', '%3F')}"
    client = open_client(uri.replace("#", "%23"), create=False)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    assert {each.info.status for each in runs} == {"FINISHED"}
    [whole] = [each for each in runs if each.data.tags["hbpr.kind"] == "study"]
    left_out = json.loads(whole.data.tags["hbpr.left_out"])
    assert left_out == {"without user": 1, "repeated": 1}
    assert RecommendationSystem.load(study).data.name == name
    registered = whole.data.tags.get("hbpr.registered")
    if registered is not None:
        assert load_system(registered, uri.replace("#", "%23")).data.name == name
    assert run(cli, ["study", "sync", str(study)]) == 0
