import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hbpr.errors import StudyError
from hbpr.tracking.about import About
from hbpr.tracking.findings import BaselineRecord, Winner
from hbpr.tracking.records import TrialRecord
from tune.storage.repeat import Repeat
from tune.tracking.callback import RecordTrials
from tune.tracking.recorder import MlflowRecorder

MONITOR = "val/ndcg_at_10"


def test_a_study_becomes_flat_runs_with_true_statuses(recording, tmp_path: Path) -> None:
    recorder = recording.recorder()
    recorder.open({"hbpr.left_out": {"repeated": 3}})
    recording.play(recorder, 0, [0.1, 0.3, 0.2], finished=True)
    recording.play(recorder, 1, [0.05], finished=False)
    (tmp_path / "error.txt").write_text("Traceback ...\n  File x\nDivergedError: the loss is nan\n")
    failed = recording.trial(2, status="ERROR", error_file=str(tmp_path / "error.txt"))
    RecordTrials(recorder).on_trial_start(0, [], failed)
    RecordTrials(recorder).on_trial_error(0, [], failed)
    RecordTrials(recorder).on_experiment_end([failed])
    recorder.record_final(
        Winner(0, {"optimizer.lr": 0.1}, 0.3, 15, test={"test/ndcg_at_10": 0.25}),
        [
            BaselineRecord(
                "popularity", "popularity", {"val/ndcg_at_10": 0.7}, {"test/ndcg_at_10": 0.1}
            ),
            BaselineRecord("ease", "EASE", {"val/ndcg_at_10": 0.8}, {"test/ndcg_at_10": 0.2}),
        ],
    )
    assert recorder.finish()

    runs = recording.runs()
    assert set(runs) == {"study s1", "trial-000", "trial-001", "trial-002"}
    assert {name: run.info.status for name, run in runs.items()} == {
        "study s1": "FINISHED",
        "trial-000": "FINISHED",
        "trial-001": "KILLED",
        "trial-002": "FAILED",
    }
    assert not any("mlflow.parentRunId" in run.data.tags for run in runs.values())
    best = runs["trial-000"]
    assert best.data.params == {"optimizer.lr": "0.1", "model.hidden": "[8, 4]"}
    assert best.data.metrics == {
        "train/loss": 1 / 15,
        "time/train_s": 0.1,
        MONITOR: 0.2,
        "best/ndcg_at_10": 0.3,
    }
    assert recording.steps(best) == [5, 10, 15]
    assert recording.steps(best, "best/ndcg_at_10") == [5, 10]
    assert runs["trial-002"].data.tags["hbpr.error"] == "DivergedError: the loss is nan"
    study = runs["study s1"]
    assert json.loads(study.data.tags["hbpr.left_out"]) == {"repeated": 3}
    assert study.data.metrics == {
        "test/ndcg_at_10": 0.25,
        "baseline/ndcg_at_10": 0.1,
        "ease/ndcg_at_10": 0.2,
    }
    assert study.data.tags["hbpr.best_trial"] == "0"
    assert recorder.study_run_id == study.info.run_id
    assert recorder.run_ids[1] == runs["trial-001"].info.run_id


def test_a_view_of_all_trials_is_saved_with_the_experiment(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    assert recorder.finish()
    experiment = recording.client.get_experiment_by_name("films")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(experiment.tags["mlflow.sharedViewState.s1"])
    state = json.loads(view["state"])
    assert view["name"] == "study s1"
    assert state["runsHiddenMode"] == "SHOW_ALL"
    assert state["selectedColumns"][-1] == "params.`model.hidden`"
    assert recorder.view_path(charts=True) == (
        f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=s1"
        "&workflowType=machine_learning&compareRunsMode=CHART"
    )


def test_a_resumed_study_goes_on_with_its_runs_and_repeats_no_step(recording) -> None:
    first = recording.recorder()
    first.open()
    recording.play(first, 0, [0.1, 0.2], finished=True)
    half = recording.trial(1)
    RecordTrials(first).on_trial_start(0, [], half)
    for epoch, value in [(5, 0.10), (10, 0.30), (15, 0.20)]:
        recording.report(first, half, epoch, value)
    assert first.finish("KILLED")
    assert {run.info.status for run in recording.runs().values()} == {"FINISHED", "KILLED"}

    second = recording.recorder()
    second.open()
    RecordTrials(second).on_trial_start(0, [], half)
    assert second.flush()
    assert recording.runs()["trial-001"].info.status == "RUNNING"
    for epoch, value in [(10, 0.31), (15, 0.21), (20, 0.25), (25, 0.35)]:
        recording.report(second, half, epoch, value, finished=epoch == 25)
    RecordTrials(second).on_trial_complete(0, [], half)
    assert second.finish()

    runs = recording.runs()
    assert len(runs) == 3
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert recording.steps(runs["trial-001"]) == [5, 10, 15, 20, 25]
    assert recording.steps(runs["trial-001"], "best/ndcg_at_10") == [5, 10, 25]
    assert recording.steps(runs["trial-000"]) == [5, 10]


def test_an_end_that_was_lost_with_the_driver_is_made_up(recording) -> None:
    first = recording.recorder()
    first.open()
    trials = [recording.trial(n) for n in range(3)]
    for trial in trials:
        RecordTrials(first).on_trial_start(0, [], trial)
        recording.report(first, trial, 5, 0.1, finished=trial.number == 0)
    _drop(first)
    trials[0].status = trials[1].status = "TERMINATED"
    trials[2].status, trials[2].error = "ERROR", "OSError: gone"
    second = recording.recorder()
    second.open()
    RecordTrials(second).on_experiment_end(trials)
    assert second.finish()
    statuses = {name: run.info.status for name, run in recording.runs().items()}
    assert [statuses[f"trial-00{n}"] for n in range(3)] == ["FINISHED", "KILLED", "FAILED"]


def test_what_only_the_journal_knows_is_recorded(recording) -> None:
    first = recording.recorder()
    first.open()
    for number in (0, 1, 3):
        trial = recording.trial(number)
        RecordTrials(first).on_trial_start(0, [], trial)
        recording.report(first, trial, 5, 0.1)
    _drop(first)
    states = ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    journal = [
        TrialRecord(number, {"optimizer.lr": 0.1}, state, 0.2, {5: 0.1, 10: 0.2}, None)
        for number, state in enumerate(states)
    ]
    second = recording.recorder()
    second.open()
    for _ in range(2):
        second.catch_up(journal)
    assert second.failures == {2: "the reason was lost with a driver that was killed just then"}
    assert second.metrics_at(0, 10) == {MONITOR: 0.2}
    assert second.metrics_at(0, 15) == {}
    assert second.finish()
    runs = recording.runs()
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {
        "study s1": "FINISHED",
        "trial-000": "FINISHED",
        "trial-001": "KILLED",
        "trial-002": "FAILED",
        "trial-003": "KILLED",
    }
    assert recording.steps(runs["trial-000"]) == [5, 10]
    assert recording.steps(runs["trial-002"]) == [5, 10]
    assert recording.steps(runs["trial-003"]) == [5]


def test_faults_of_earlier_sittings_are_known(recording) -> None:
    first = recording.recorder()
    first.open()
    trials = [recording.trial(number) for number in range(2)]
    for trial in trials:
        RecordTrials(first).on_trial_start(0, [], trial)
        RecordTrials(first).on_trial_recover(0, [], trial)
    first.record_hang(1)
    _drop(first)
    second = recording.recorder()
    second.open()
    RecordTrials(second).on_trial_recover(0, [], trials[1])
    assert (second.n_restarts, second.n_hangs) == (3, 1)
    assert second.finish()
    tags = recording.runs()["trial-001"].data.tags
    assert (tags["hbpr.restarts"], tags["hbpr.hangs"]) == ("2", "1")


def test_the_answer_recorded_twice_is_there_once(recording) -> None:
    for value in (0.25, 0.25, 0.3):
        recorder = recording.recorder()
        recorder.open()
        recorder.record_final(Winner(0, {}, 0.4, 5, test={"test/ndcg_at_10": value}), [])
        assert recorder.finish()
    history = recording.client.get_metric_history(
        recording.runs()["study s1"].info.run_id, "test/ndcg_at_10"
    )
    assert [point.value for point in history] == [0.25, 0.3]


def repeat(seed: int, values: dict[int, float]) -> Repeat:
    curve = {epoch: {"train/loss": 1.0 / epoch, MONITOR: value} for epoch, value in values.items()}
    users = np.arange(3)
    metrics = {MONITOR: max(values.values())}
    return Repeat(seed, 5, metrics, users, np.zeros(3), curve, 1_000 * seed, 1_000 * seed + 500)


def test_repeats_of_finalists_are_runs_but_no_trials(recording) -> None:
    values = {"optimizer.lr": 0.1}
    repeats = [repeat(43, {5: 0.2, 10: 0.3}), repeat(44, {5: 0.25, 10: 0.15})]
    for _ in range(2):
        recorder = recording.recorder()
        recorder.open()
        recording.play(recorder, 0, [0.1], finished=True)
        recorder.record_repeats(0, values, repeats)
        assert recorder.finish()
        assert set(recorder.run_ids) == {0}
    runs = recording.runs()
    assert set(runs) == {"study s1", "trial-000", "repeat-000-seed-43", "repeat-000-seed-44"}
    assert recorder.study_run_id == runs["study s1"].info.run_id
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    first, second = runs["repeat-000-seed-43"], runs["repeat-000-seed-44"]
    assert first.data.params == {"optimizer.lr": "0.1", "training.seed": "43"}
    assert second.data.metrics["best/ndcg_at_10"] == 0.25
    assert second.data.metrics[MONITOR] == 0.15
    assert recording.steps(first) == [5, 10]
    assert (first.info.start_time, first.info.end_time) == (43_000, 43_500)
    tags = first.data.tags
    assert (tags["hbpr.kind"], tags["hbpr.repeat_of"], tags["hbpr.seed"]) == ("repeat", "0", "43")
    assert "hbpr.trial" not in tags


def test_a_repeat_that_came_out_otherwise_goes_on_with_its_run(recording) -> None:
    for value in (0.2, 0.2, 0.3):
        recorder = recording.recorder()
        recorder.open()
        recorder.record_repeats(0, {}, [repeat(43, {5: value})])
        assert recorder.finish()
    run = recording.runs()["repeat-000-seed-43"]
    points = recording.client.get_metric_history(run.info.run_id, MONITOR)
    assert sorted(point.value for point in points) == [0.2, 0.3]


def _drop(recorder: MlflowRecorder) -> None:
    """Leave a recorder as a killed process would."""
    assert recorder._sender is not None
    assert recorder._outbox is not None
    recorder._sender.close()
    recorder._outbox.close()


def test_one_driver_at_a_time(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    with pytest.raises(StudyError, match="another process"):
        recording.recorder().open()
    recorder.finish()


def test_a_store_that_is_away_costs_the_driver_nothing(recording) -> None:
    recorder = recording.recorder("http://ann:secret@127.0.0.1:9")
    recorder.open()
    start = time.perf_counter()
    for number in range(20):
        recording.play(recorder, number, [0.1] * 10, finished=True)
    assert time.perf_counter() - start < 10.0  # 240 events; each that asked the store would wait
    assert not recorder.finish(timeout_s=0.2)
    assert "secret" not in (recording.folder / "outbox/events.jsonl").read_text()


@pytest.mark.slow
def test_a_server_that_stops_in_the_middle_gets_everything_once(
    server: Any, recording, caplog: pytest.LogCaptureFixture
) -> None:
    server.start()
    recorder = recording.recorder(server.uri)
    recorder.open()
    for number in range(10):
        recording.play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    assert recorder.flush(30)
    for number in range(10, 20):
        recording.play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    server.stop()
    for number in range(20, 30):
        recording.play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    assert not recorder.flush(1.0)
    assert caplog.text.count("does not answer") == 1
    server.start()
    assert recorder.finish(timeout_s=60)
    runs = recording.runs()
    assert len(runs) == 31
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for number in range(30):
        assert recording.steps(runs[f"trial-{number:03d}"]) == [5, 10, 15]


def test_all_runs_say_what_they_were_judged_on_and_what_they_came_to(recording) -> None:
    recorder = recording.recorder()
    exam = {"hbpr.exam": "abc", "hbpr.data": "films"}
    recorder.open(
        about=About(exam, {"name": "films", "digest": "abc", "source_type": "hbpr", "source": "{}"})
    )
    recording.play(recorder, 0, [0.1, 0.3], finished=True)
    recording.play(recorder, 1, [0.05], finished=False)
    recorder.start_trial(2, {"optimizer.lr": 0.1})
    recorder.end_trial(2, "FAILED", "it diverged")
    assert recorder.finish()
    runs = recording.runs()
    assert len(runs) == 4
    for run in runs.values():
        assert exam.items() <= run.data.tags.items()
        assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["films"]
    states = {name: run.data.tags.get("hbpr.state") for name, run in runs.items()}
    assert states == {
        "study s1": None,
        "trial-000": "finished",
        "trial-001": "stopped",
        "trial-002": "failed",
    }
    assert runs["trial-002"].data.tags["hbpr.error"] == "it diverged"
    assert runs["trial-000"].data.tags["hbpr.node"] == "node-1"
