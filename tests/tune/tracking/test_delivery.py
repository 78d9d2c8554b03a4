import pytest

from tune.tracking.callback import RecordTrials
from tune.tracking.delivery import Delivery
from tune.tracking.runs import RunKey


def test_a_run_that_somebody_deleted_stops_nothing(
    recording, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = recording.recorder()
    recorder.open()
    trial = recording.trial(0)
    RecordTrials(recorder).on_trial_start(0, [], trial)
    assert recorder.flush()
    recording.client.delete_run(recorder.run_ids[0])
    recording.report(recorder, trial, 5, 0.1)
    recording.play(recorder, 1, [0.2], finished=True)
    assert recorder.finish()
    assert "MLflow refused records of trial 0" in caplog.text
    assert recording.runs()["trial-001"].info.status == "FINISHED"


def test_an_epoch_that_only_mlflow_knows_of_is_there_once(recording) -> None:
    """A full disk kept it from the folder; the trial goes on from an older checkpoint."""

    def epoch(step: int, at: int) -> dict[str, object]:
        value = {"val/ndcg_at_10": step / 10}
        return {"event": "result", "trial": 0, "step": step, "metrics": value, "at": at}

    start = {"event": "start", "trial": 0, "name": "trial-000", "at": 1}
    first = Delivery(recording.uri, "films", "s1")
    first([start, epoch(1, 2), epoch(2, 3)])
    second = Delivery(recording.uri, "films", "s1")
    second([start | {"at": 10}, epoch(2, 11)])
    second([epoch(3, 12)])
    run_id = second.runs[RunKey("trial", 0)]
    points = recording.client.get_metric_history(run_id, "val/ndcg_at_10")
    assert [point.step for point in points] == [1, 2, 3]
