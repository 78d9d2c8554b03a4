import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hbpr.data import UserItemData
from hbpr.errors import ConfigError, TrackingError
from hbpr.mlflow_log import (
    EXPERIMENT_TAGS,
    Registered,
    as_text,
    ensure_experiment,
    find_experiment,
    flatten,
    flatten_settings,
    load_system,
    log_batch,
    log_system,
    mask_uri,
    open_client,
    register_model,
    start_run,
)
from hbpr.models import build_model
from hbpr.recommender import RecommendationSystem
from hbpr.settings.models import TrialSettings


def small_system() -> RecommendationSystem:
    rng = np.random.default_rng(0)
    data = UserItemData(name="small")
    data.add_positive_interactions(
        [f"u{i}" for i in rng.integers(0, 20, 200)], rng.integers(0, 30, 200)
    )
    settings = TrialSettings.model_validate({"model": {"n_latent": 4}})
    interactions = data.to_interactions()
    model = build_model(settings.model, interactions, seed=1)
    return RecommendationSystem(model, interactions, settings)


@pytest.mark.parametrize(
    ("uri", "masked"),
    [
        ("http://ann:secret@host:5000/a", "http://host:5000/a"),
        ("https://token@host", "https://host"),
        ("https://a:p@ss@host", "https://host"),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("http://host/x@y", "http://host/x@y"),
    ],
)
def test_user_and_password_are_masked(uri: str, masked: str) -> None:
    assert mask_uri(uri) == masked


def test_settings_are_flat_and_leave_out_where_they_are_recorded() -> None:
    flat = flatten_settings(TrialSettings())
    assert flat["optimizer.lr"] == 0.05
    assert flat["data.split.train"] == 0.8
    assert flat["training.top_k"] == [10, 20]
    assert not any(name.startswith("mlflow") for name in flat)
    assert flatten({"a": {}}) == {}


def test_long_values_are_cut_and_others_are_json() -> None:
    assert as_text("x" * 10, 5) == "xxxx…"
    assert [as_text(v) for v in (1e-3, True, None, [1, 2], "a")] == [
        "0.001",
        "true",
        "null",
        "[1, 2]",
        "a",
    ]


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "sqlite:///:memory:", "ftp://x"])
def test_a_store_that_cannot_be_used_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///"):
        open_client(uri)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"there is no folder .*nowhere"):
        open_client(f"sqlite:///{tmp_path}/nowhere/mlflow.db")


def test_a_file_that_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is not a database, " * 100)
    with pytest.raises(TrackingError, match="not a database"):
        open_client(f"sqlite:///{tmp_path}/x.db")


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="there is no file"):
        open_client(f"sqlite:///{tmp_path}/x.db", create=False)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_is_told_in_seconds_without_its_password() -> None:
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"http://127.0.0.1:9 .*does not answer") as caught:
        open_client("http://ann:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)
    assert time.monotonic() - start < 10


def test_processes_may_create_one_database_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    program = (
        "import sys, hbpr.mlflow_log as m; "
        "c = m.open_client(sys.argv[1]); print(m.ensure_experiment(c, 'same', sys.argv[1]))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    results = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0], results
    assert results == [(b"1\n", b"")] * 2, "quiet, and one experiment"


def test_an_experiment_is_made_once_with_the_view_of_training_runs(tracking_uri: str) -> None:
    client = open_client(tracking_uri)
    first = ensure_experiment(client, "films and/or more", tracking_uri)
    assert ensure_experiment(client, "films and/or more", tracking_uri) == first
    found = find_experiment(client, "films and/or more", tracking_uri)
    assert found.tags.items() >= EXPERIMENT_TAGS.items()
    assert found.artifact_location.startswith("file:///")
    client.delete_experiment(first)
    with pytest.raises(TrackingError, match=r"was deleted.*mlflow experiments restore"):
        ensure_experiment(client, "films and/or more", tracking_uri)


def test_an_unknown_experiment_names_the_nearest(tracking_uri: str) -> None:
    client = open_client(tracking_uri)
    ensure_experiment(client, "ml-100k", tracking_uri)
    with pytest.raises(ConfigError, match=r"'ml-10k'.*Did you mean 'ml-100k'"):
        find_experiment(client, "ml-10k", tracking_uri)


def test_a_training_run_is_recorded(tracking_uri: str) -> None:
    with start_run(
        tracking_uri, "e", run_name="r", params={"a.b": [1], "c": 0.5}, tags={"data": "d"}
    ) as run:
        for epoch in range(1, 4):
            run.log_metrics({"val/ndcg_at_10": epoch / 10}, epoch)
    client = open_client(tracking_uri)
    recorded = client.get_run(run.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.info.run_name == "r"
    assert recorded.data.params == {"a.b": "[1]", "c": "0.5"}
    assert recorded.data.tags["hbpr.kind"] == "train"
    history = client.get_metric_history(run.run_id, "val/ndcg_at_10")
    assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.2), (3, 0.3)]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no good"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_no_run_is_left_open(tracking_uri: str, error: BaseException, status: str) -> None:
    run = start_run(tracking_uri, "e", run_name="r", params={})

    def train() -> None:
        with run:
            run.log_metrics({"train/loss": 1.0}, 1)
            raise error

    with pytest.raises(type(error)):
        train()
    recorded = open_client(tracking_uri).get_run(run.run_id)
    assert recorded.info.status == status
    assert recorded.data.metrics == {"train/loss": 1.0}
    assert recorded.data.tags.get("hbpr.error") == (
        "ValueError: no good" if status == "FAILED" else None
    )


def test_a_store_that_goes_away_does_not_end_the_training(
    tracking_uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tracking_uri, "e", run_name="r", params={})
    monkeypatch.setattr(run.client, "log_batch", _unplugged)
    monkeypatch.setattr(run, "_sent_at", 0.0)
    run.log_metrics({"train/loss": 1.0}, 1)
    assert "cannot be used" in caplog.text
    monkeypatch.undo()
    run.finish()
    assert open_client(tracking_uri).get_run(run.run_id).data.metrics == {"train/loss": 1.0}


def _unplugged(*_: object) -> None:
    raise ConnectionResetError("unplugged")


def test_many_values_go_in_as_few_calls_as_mlflow_allows(tracking_uri: str) -> None:
    run = start_run(tracking_uri, "e", run_name="r", params={f"p{i}": i for i in range(230)})
    points = [("train/loss", float(step), 1_000, step) for step in range(2_000)]
    log_batch(run.client, run.run_id, metrics=points)
    log_batch(run.client, run.run_id, metrics=points[:10])
    recorded = run.client.get_run(run.run_id)
    assert len(recorded.data.params) == 230
    assert len(run.client.get_metric_history(run.run_id, "train/loss")) == 2_000, "equal: kept once"


def test_a_model_comes_back_without_pickle(tracking_uri: str, tmp_path: Path) -> None:
    system = small_system()
    run = start_run(tracking_uri, "e", run_name="r", params={})
    uri = log_system(run.client, run.run_id, system)
    expected = system.recommend(["u1", "u2"], k=3)
    for name in (uri, f"runs:/{run.run_id}/recommender"):
        pd.testing.assert_frame_equal(
            load_system(name, tracking_uri).recommend(["u1", "u2"], k=3), expected
        )
    names = {path.name for path in (tmp_path / "mlruns").rglob("*") if path.is_file()}
    assert "arrays.npz" in names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pt"))}
    system.save(tmp_path / "saved")
    again = log_system(run.client, run.run_id, tmp_path / "saved")
    assert load_system(again, tracking_uri).recommend(["u1"], k=1).item[0] == expected.item[0]


def test_mlflow_itself_loads_the_model_in_a_fresh_process(tracking_uri: str) -> None:
    system = small_system()
    run = start_run(tracking_uri, "e", run_name="r", params={})
    uri = log_system(run.client, run.run_id, system)
    program = (
        "import sys, mlflow, pandas as pd; m = mlflow.pyfunc.load_model(sys.argv[1]); "
        "print(m.predict(pd.DataFrame({'user': ['u1'], 'k': [2]})).to_json(orient='records'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, uri],
        env=os.environ | {"MLFLOW_TRACKING_URI": tracking_uri},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout.splitlines()[-1])
    assert [row["item"] for row in rows] == system.recommend(["u1"], k=2).item.tolist()


def test_the_best_version_of_its_kind_is_the_champion(tracking_uri: str) -> None:
    system, name = small_system(), "films/2: é%"
    client = open_client(tracking_uri)
    run_id = client.create_run(ensure_experiment(client, name, tracking_uri)).info.run_id

    def register(uri: str, value: float, data: str = "d") -> Registered:
        tags = {"hbpr.metric": "val/auc", "hbpr.data": data, "hbpr.value": str(value)}
        return register_model(client, name, uri, run_id=run_id, tags=tags)

    first = log_system(client, run_id, system)
    assert register(first, 0.5) == ("films-2- é%", "1", "1")
    assert register(first, 0.5).version == "1", "once"
    worse = register(log_system(client, run_id, system), 0.4)
    assert (worse.version, worse.champion, worse.uri) == ("2", "1", "models:/films-2- é%/2")
    assert register(log_system(client, run_id, system), 0.6).champion == "3"
    assert register(log_system(client, run_id, system), 0.1, data="other").champion == "4"
    loaded = load_system("models:/films-2- é%@champion", tracking_uri)
    assert loaded.recommend(["u1"], k=2).equals(system.recommend(["u1"], k=2))


@pytest.mark.parametrize("uri", ["models:/m-none", "models:/none@champion", "runs:/none/x"])
def test_a_model_that_is_not_there_is_told_plainly(tracking_uri: str, uri: str) -> None:
    with pytest.raises(TrackingError, match=f"no model {uri}"):
        load_system(uri, tracking_uri)
