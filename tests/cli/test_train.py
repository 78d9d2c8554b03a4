"""`hbpr train` from the file to the saved recommender."""

from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from hbpr.tracking.store import find_experiment, open_client

TINY = """
data: {source: synthetic, synthetic: {n_users: 40, n_items: 30, n_shown: 15}}
model: {n_latent: 4}
training: {n_iter: 4, eval_every: 2, engine: autograd, device: cpu}
mlflow: {experiment_name: tiny}
sweep: {model.n_latent: [2, 4]}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.mark.usefixtures("tracking_uri")
def test_training_shows_records_and_saves(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["train", str(tiny), "-o", "model", "--set", "training.top_k=[10, 5]"]) == 0
    out = capsys.readouterr().out
    assert "epoch    2  loss " in out
    assert "epoch    4  loss " in out
    assert "ran to its end after 4 epochs; best epoch" in out
    [row] = [line for line in out.splitlines() if line.startswith("│auc")]
    _, *figures = row.replace("│", " ").split()
    assert len(figures) == 6  # validation and test, each beside popularity and EASE
    assert "model - popularity = " in out
    assert "model - EASE = " in out
    assert "ndcg_at_10" in out
    assert "hbpr serve model" in out
    uri = f"sqlite:///{tiny.parent / 'mlflow.db'}"
    assert f"recorded in experiment tiny at {uri}" in out

    client = open_client(uri)
    [record] = client.search_runs([find_experiment(client, "tiny", uri).experiment_id])
    assert record.info.status == "FINISHED"
    assert "test/ndcg_at_10" in record.data.metrics

    from hbpr import RecommendationSystem

    system = RecommendationSystem.load(tiny.parent / "model")
    assert len(system.recommend(k=3)["item"]) == 40 * 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.loss_function=bpr", "--set training.loss_function: must be bpr_loss, "),
        ("data={source: movielens, name: ml-200k}", "ml-200k"),
        ("mlflow.tracking_uri=ftp://ann:pa55@host", "ftp://"),
    ],
)
def test_bad_input_is_exit_code_2_without_a_record(
    tiny: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert run(cli, ["train", str(tiny), "--set", override]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert "pa55" not in err
    assert not (tiny.parent / "mlflow.db").exists()
