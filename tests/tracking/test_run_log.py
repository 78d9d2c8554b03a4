import pytest

from hbpr.settings.models import TrialSettings
from hbpr.tracking.run_log import as_text, flatten_settings, log_batch, start_run
from hbpr.tracking.store import open_client


def test_settings_are_flat_and_leave_out_where_they_are_recorded() -> None:
    flat = flatten_settings(TrialSettings())
    assert flat["optimizer.lr"] == 0.05
    assert flat["data.split.train"] == 0.8
    assert flat["training.top_k"] == [10, 20]
    assert not any(name.startswith("mlflow") for name in flat)


def test_long_values_are_cut_and_others_are_json() -> None:
    assert as_text("x" * 10, 5) == "xxxx…"
    assert [as_text(v) for v in (1e-3, True, None, [1, 2], "a")] == [
        "0.001",
        "true",
        "null",
        "[1, 2]",
        "a",
    ]


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
