"""What Tune tells of trials, as records."""

from tune.tracking.callback import RecordTrials
from tune.trial.messages import failed


def test_a_trial_that_is_paused_or_tried_again_stays_one_run(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    trial = recording.trial(0)
    for _ in range(3):
        RecordTrials(recorder).on_trial_start(0, [], trial)
        recording.report(recorder, trial, 5, 0.1)
    assert recorder.finish()
    assert recording.steps(recording.runs()["trial-000"]) == [5]


def test_values_that_are_not_finite_are_left_out(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    trial = recording.trial(0)
    RecordTrials(recorder).on_trial_start(0, [], trial)
    recording.report(recorder, trial, 5, float("nan"), **{"val/auc": float("inf"), "val/mrr": 0.5})
    assert recorder.finish()
    metrics = recording.runs()["trial-000"].data.metrics
    assert set(metrics) == {"train/loss", "time/train_s", "val/mrr"}


def test_a_trial_that_gives_up_says_why(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    callback, trial = RecordTrials(recorder), recording.trial(0)
    callback.on_trial_start(0, [], trial)
    trial.last_result = failed("DivergedError: epoch 3", 3)
    callback.on_trial_result(0, [], trial, trial.last_result)
    callback.on_trial_complete(0, [], trial)
    assert recorder.failures == {0: "DivergedError: epoch 3"}
    assert recorder.finish()
    assert recording.runs()["trial-000"].info.status == "FAILED"


def test_the_machine_is_recorded_with_the_first_report_and_when_it_changes(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    trial = recording.trial(0)
    RecordTrials(recorder).on_trial_start(0, [], trial)
    recording.report(recorder, trial, 5, 0.1)
    assert recorder.flush()
    assert recording.runs()["trial-000"].data.tags["hbpr.node"] == "node-1"
    recording.report(recorder, trial, 10, 0.1)
    recording.report(recorder, trial, 15, 0.1, hostname="node-2")
    events = [e for e in recorder._outbox.events() if e["event"] == "result"]
    assert [e.get("tags", {}).get("hbpr.node") for e in events] == ["node-1", None, "node-2"]
    assert recorder.finish()
    assert recording.runs()["trial-000"].data.tags["hbpr.node"] == "node-2"


def test_trials_that_ended_are_left_alone_at_the_end(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    callback, trial = RecordTrials(recorder), recording.trial(0, status="TERMINATED")
    callback.on_trial_start(0, [], trial)
    callback.on_trial_complete(0, [], trial)
    assert not recorder.is_open(0)
    callback.on_experiment_end([trial, recording.trial(1, status="TERMINATED")])
    assert recorder.finish()
    assert recording.runs().keys() == {"study s1", "trial-000"}
