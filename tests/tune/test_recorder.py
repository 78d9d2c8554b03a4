import copy
import json
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from hbpr.errors import StudyError, TrackingError
from hbpr.mlflow_store import open_client
from tune.delivery import _Change, sync
from tune.finalists import Repeat
from tune.journal import JournalTrial
from tune.recorder import MlflowRecorder

MONITOR = "val/ndcg_at_10"


@dataclass
class FakeTrial:
    """What the recorder reads of a Ray trial."""

    number: int
    status: str = "RUNNING"
    last_result: dict[str, Any] = field(default_factory=dict)
    error_file: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        values = {"optimizer.lr": 0.1 / (self.number + 1), "model.hidden": [8, 4]}
        return {"trial": self.number, "values": values}


def make(tmp_path: Path, uri: str, **changes: Any) -> MlflowRecorder:
    settings = {
        "mlflow": {"tracking_uri": uri},
        "sweep": {"space": {"optimizer.lr": [0.1], "model.hidden": [[8, 4]]}},
    }
    arguments: dict[str, Any] = {
        "tracking_uri": uri,
        "experiment_name": "films",
        "study_id": "s1",
        "study_name": "study s1",
        "settings": settings,
    }
    return MlflowRecorder(tmp_path / "study", **(arguments | changes))


def report(
    recorder: MlflowRecorder, trial: FakeTrial, epoch: int, value: float, **more: Any
) -> None:
    result = {
        "epoch": epoch,
        "train/loss": 1.0 / epoch,
        "time/train_s": 0.1,
        MONITOR: value,
        "pid": 17,
        "config/optimizer.lr": 0.1,
        "finished": False,
    } | more
    trial.last_result = result
    recorder.on_trial_result(0, [], trial, result)


def play(
    recorder: MlflowRecorder, number: int, values: list[float], *, finished: bool
) -> FakeTrial:
    """Start a trial, report every fifth epoch, and complete it."""
    trial = FakeTrial(number)
    recorder.on_trial_start(0, [], trial)
    for i, value in enumerate(values, 1):
        report(recorder, trial, 5 * i, value, finished=finished and i == len(values))
    recorder.on_trial_complete(0, [], trial)
    trial.status = "TERMINATED"
    return trial


def runs_of(uri: str, study_id: str = "s1") -> dict[str, Run]:
    client = open_client(uri)
    experiment = client.get_experiment_by_name("films")
    assert experiment is not None
    runs = client.search_runs(
        [experiment.experiment_id], f"tags.`hbpr.study_id` = '{study_id}'", max_results=5000
    )
    names = [run.info.run_name for run in runs]
    assert len(set(names)) == len(names), "a run twice"
    return dict(zip(names, runs, strict=True))


def steps(uri: str, run: Run, metric: str = MONITOR) -> list[int]:
    return [point.step for point in open_client(uri).get_metric_history(run.info.run_id, metric)]


def test_a_study_becomes_flat_runs_with_true_statuses(tmp_path: Path, tracking_uri: str) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.setup()
    play(recorder, 0, [0.1, 0.3, 0.2], finished=True)
    play(recorder, 1, [0.05], finished=False)
    (tmp_path / "error.txt").write_text("Traceback ...\n  File x\nDivergedError: the loss is nan\n")
    failed = FakeTrial(2, error_file=str(tmp_path / "error.txt"))
    recorder.on_trial_start(0, [], failed)
    recorder.on_trial_error(0, [], failed)
    recorder.on_experiment_end([failed])
    recorder.record_final(
        best_trial=0,
        best_value=0.3,
        values={"optimizer.lr": 0.1},
        test={"test/ndcg_at_10": 0.25},
        baseline={"test/ndcg_at_10": 0.1, "val/ndcg_at_10": 0.7},
    )
    assert recorder.finish()

    runs = runs_of(tracking_uri)
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
    assert steps(tracking_uri, best) == [5, 10, 15]
    assert steps(tracking_uri, best, "best/ndcg_at_10") == [5, 10]
    assert runs["trial-002"].data.tags["hbpr.error"] == "DivergedError: the loss is nan"
    study = runs["study s1"]
    assert study.data.metrics == {"test/ndcg_at_10": 0.25, "baseline/ndcg_at_10": 0.1}
    assert study.data.tags["hbpr.best_trial"] == "0"
    assert "| test/ndcg_at_10 | 0.2500 | 0.1000 |" in study.data.tags["mlflow.note.content"]
    assert recorder.study_run_id == study.info.run_id
    assert recorder.run_ids[1] == runs["trial-001"].info.run_id


def test_a_view_of_all_trials_is_saved_with_the_experiment(
    tmp_path: Path, tracking_uri: str
) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    assert recorder.finish()
    experiment = open_client(tracking_uri).get_experiment_by_name("films")
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


def test_a_resumed_study_goes_on_with_its_runs_and_repeats_no_step(
    tmp_path: Path, tracking_uri: str
) -> None:
    first = make(tmp_path, tracking_uri)
    first.open()
    play(first, 0, [0.1, 0.2], finished=True)
    half = FakeTrial(1)
    first.on_trial_start(0, [], half)
    for epoch, value in [(5, 0.10), (10, 0.30), (15, 0.20)]:
        report(first, half, epoch, value)
    assert first.finish("KILLED")
    assert {run.info.status for run in runs_of(tracking_uri).values()} == {"FINISHED", "KILLED"}

    second = make(tmp_path, tracking_uri)
    second.open()
    second.on_trial_start(0, [], half)
    assert second.flush()
    assert runs_of(tracking_uri)["trial-001"].info.status == "RUNNING"
    for epoch, value in [(10, 0.31), (15, 0.21), (20, 0.25), (25, 0.35)]:
        report(second, half, epoch, value, finished=epoch == 25)
    second.on_trial_complete(0, [], half)
    assert second.finish()

    runs = runs_of(tracking_uri)
    assert len(runs) == 3
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert steps(tracking_uri, runs["trial-001"]) == [5, 10, 15, 20, 25]
    assert steps(tracking_uri, runs["trial-001"], "best/ndcg_at_10") == [5, 10, 25]
    assert steps(tracking_uri, runs["trial-000"]) == [5, 10]


def test_a_trial_that_is_paused_or_tried_again_stays_one_run(
    tmp_path: Path, tracking_uri: str
) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    trial = FakeTrial(0)
    for _ in range(3):
        recorder.on_trial_start(0, [], trial)
        report(recorder, trial, 5, 0.1)
    assert recorder.finish()
    assert steps(tracking_uri, runs_of(tracking_uri)["trial-000"]) == [5]


def test_an_end_that_was_lost_with_the_driver_is_made_up(tmp_path: Path, tracking_uri: str) -> None:
    first = make(tmp_path, tracking_uri)
    first.open()
    trials = [FakeTrial(n) for n in range(3)]
    for trial in trials:
        first.on_trial_start(0, [], trial)
        report(first, trial, 5, 0.1, finished=trial.number == 0)
    _drop(first)
    trials[0].status = trials[1].status = "TERMINATED"
    trials[2].status, trials[2].error = "ERROR", "OSError: gone"
    second = make(tmp_path, tracking_uri)
    second.open()
    second.on_experiment_end(trials)
    assert second.finish()
    statuses = {name: run.info.status for name, run in runs_of(tracking_uri).items()}
    assert [statuses[f"trial-00{n}"] for n in range(3)] == ["FINISHED", "KILLED", "FAILED"]


def test_what_only_the_journal_knows_is_recorded(tmp_path: Path, tracking_uri: str) -> None:
    first = make(tmp_path, tracking_uri)
    first.open()
    for number in (0, 1, 3):
        trial = FakeTrial(number)
        first.on_trial_start(0, [], trial)
        report(first, trial, 5, 0.1)
    _drop(first)
    states = ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    journal = [
        JournalTrial(number, {"optimizer.lr": 0.1}, state, 0.2, {5: 0.1, 10: 0.2}, None)
        for number, state in enumerate(states)
    ]
    second = make(tmp_path, tracking_uri)
    second.open()
    for _ in range(2):
        second.catch_up(journal)
    assert second.metrics_at(0, 10) == {MONITOR: 0.2}
    assert second.metrics_at(0, 15) == {}
    assert second.finish()
    runs = runs_of(tracking_uri)
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {
        "study s1": "FINISHED",
        "trial-000": "FINISHED",
        "trial-001": "KILLED",
        "trial-002": "FAILED",
        "trial-003": "KILLED",
    }
    assert steps(tracking_uri, runs["trial-000"]) == [5, 10]
    assert steps(tracking_uri, runs["trial-002"]) == [5, 10]
    assert steps(tracking_uri, runs["trial-003"]) == [5]


def test_the_answer_recorded_twice_is_there_once(tmp_path: Path, tracking_uri: str) -> None:
    for value in (0.25, 0.25, 0.3):
        recorder = make(tmp_path, tracking_uri)
        recorder.open()
        recorder.record_final(
            best_trial=0, best_value=0.4, values={}, test={"test/ndcg_at_10": value}
        )
        assert recorder.finish()
    history = open_client(tracking_uri).get_metric_history(
        runs_of(tracking_uri)["study s1"].info.run_id, "test/ndcg_at_10"
    )
    assert [point.value for point in history] == [0.25, 0.3]


def repeat(seed: int, values: dict[int, float]) -> Repeat:
    curve = {epoch: {"train/loss": 1.0 / epoch, MONITOR: value} for epoch, value in values.items()}
    users = np.arange(3)
    metrics = {MONITOR: max(values.values())}
    return Repeat(seed, 5, metrics, users, np.zeros(3), curve, 1_000 * seed, 1_000 * seed + 500)


def test_repeats_of_finalists_are_runs_but_no_trials(tmp_path: Path, tracking_uri: str) -> None:
    values = {"optimizer.lr": 0.1}
    for repeats in ([repeat(43, {5: 0.2, 10: 0.3})], [repeat(43, {5: 0.2, 10: 0.3})]):
        recorder = make(tmp_path, tracking_uri)
        recorder.open()
        play(recorder, 0, [0.1], finished=True)
        recorder.record_repeats(0, values, [*repeats, repeat(44, {5: 0.25, 10: 0.15})])
        assert recorder.finish()
        assert set(recorder.run_ids) == {0}
    runs = runs_of(tracking_uri)
    assert set(runs) == {"study s1", "trial-000", "repeat-000-seed-43", "repeat-000-seed-44"}
    assert recorder.study_run_id == runs["study s1"].info.run_id
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    first, second = runs["repeat-000-seed-43"], runs["repeat-000-seed-44"]
    assert first.data.params == {"optimizer.lr": "0.1", "training.seed": "43"}
    assert second.data.metrics["best/ndcg_at_10"] == 0.25
    assert second.data.metrics[MONITOR] == 0.15
    assert steps(tracking_uri, first) == [5, 10]
    assert (first.info.start_time, first.info.end_time) == (43_000, 43_500)
    tags = first.data.tags
    assert (tags["hbpr.kind"], tags["hbpr.repeat_of"], tags["hbpr.seed"]) == ("repeat", "0", "43")
    assert "hbpr.trial" not in tags


def test_a_repeat_that_came_out_otherwise_goes_on_with_its_run(
    tmp_path: Path, tracking_uri: str
) -> None:
    for value in (0.2, 0.2, 0.3):
        recorder = make(tmp_path, tracking_uri)
        recorder.open()
        recorder.record_repeats(0, {}, [repeat(43, {5: value})])
        assert recorder.finish()
    run = runs_of(tracking_uri)["repeat-000-seed-43"]
    points = open_client(tracking_uri).get_metric_history(run.info.run_id, MONITOR)
    assert sorted(point.value for point in points) == [0.2, 0.3]


def _drop(recorder: MlflowRecorder) -> None:
    """Leave a recorder as a killed process would."""
    assert recorder._sender is not None
    assert recorder._outbox is not None
    recorder._sender.close()
    recorder._outbox.close()


def test_a_copy_is_the_open_recorder_and_carries_no_password(
    tmp_path: Path, tracking_uri: str
) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    assert copy.deepcopy(recorder) is recorder
    assert pickle.loads(pickle.dumps(recorder)) is recorder  # noqa: S301
    recorder.finish()
    away = make(tmp_path, "http://ann:secret@127.0.0.1:9")
    data = pickle.dumps(away)
    assert b"secret" not in data
    again = pickle.loads(data)  # noqa: S301
    assert again is not away
    assert again.tracking_uri == "http://127.0.0.1:9"
    assert again.study_id == "s1"


def test_one_driver_at_a_time(tmp_path: Path, tracking_uri: str) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    with pytest.raises(StudyError, match="another process"):
        make(tmp_path, tracking_uri).open()
    with pytest.raises(StudyError, match="another process"):
        sync(recorder.folder)
    recorder.finish()


def test_values_that_are_not_finite_are_left_out(tmp_path: Path, tracking_uri: str) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    trial = FakeTrial(0)
    recorder.on_trial_start(0, [], trial)
    report(recorder, trial, 5, float("nan"), **{"val/auc": float("inf"), "val/mrr": 0.5})
    assert recorder.finish()
    metrics = runs_of(tracking_uri)["trial-000"].data.metrics
    assert set(metrics) == {"train/loss", "time/train_s", "val/mrr"}


def test_a_run_that_somebody_deleted_stops_nothing(
    tmp_path: Path, tracking_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    trial = FakeTrial(0)
    recorder.on_trial_start(0, [], trial)
    assert recorder.flush()
    open_client(tracking_uri).delete_run(recorder.run_ids[0])
    report(recorder, trial, 5, 0.1)
    play(recorder, 1, [0.2], finished=True)
    assert recorder.finish()
    assert "MLflow refused records of trial 0" in caplog.text
    assert runs_of(tracking_uri)["trial-001"].info.status == "FINISHED"


def test_a_store_that_is_away_costs_the_driver_nothing(tmp_path: Path) -> None:
    recorder = make(tmp_path, "http://ann:secret@127.0.0.1:9")
    recorder.open()
    start = time.perf_counter()
    for number in range(20):
        play(recorder, number, [0.1] * 10, finished=True)
    assert time.perf_counter() - start < 10.0  # 240 events; each that asked the store would wait
    assert not recorder.finish(timeout_s=0.2)
    assert "secret" not in (tmp_path / "study/outbox/events.jsonl").read_text()
    with pytest.raises(TrackingError, match="does not answer"):
        sync(recorder.folder)


KILLED_DRIVER = """
import os, signal, sys
sys.path[:0] = [sys.argv[1]]
import importlib.util
spec = importlib.util.spec_from_file_location("tests_recorder", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["tests_recorder"] = module
spec.loader.exec_module(module)
from pathlib import Path
recorder = module.make(Path(sys.argv[3]), sys.argv[4])
recorder.open()
for number in range(60):
    module.play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    if number == 30:
        recorder.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_driver_left_is_sent_by_sync(tmp_path: Path, tracking_uri: str) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED_DRIVER, root, __file__, str(tmp_path), tracking_uri],
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    counts = sync(tmp_path / "study")
    assert counts["sent"] > 0
    assert counts["left"] == 0
    runs = runs_of(tracking_uri)
    assert len(runs) == 61
    for number in range(60):
        run = runs[f"trial-{number:03d}"]
        assert run.info.status == "FINISHED"
        assert steps(tracking_uri, run) == [5, 10, 15]
    assert sync(tmp_path / "study") == {"sent": 0, "left": 0}


def test_everything_sent_twice_is_there_once(tmp_path: Path, tracking_uri: str) -> None:
    recorder = make(tmp_path, tracking_uri)
    recorder.open()
    play(recorder, 0, [0.1, 0.2], finished=True)
    recorder.finish()
    (tmp_path / "study/outbox/sent").write_text("0")
    assert sync(tmp_path / "study") == {"sent": 6, "left": 0}
    runs = runs_of(tracking_uri)
    assert set(runs) == {"study s1", "trial-000"}
    assert steps(tracking_uri, runs["trial-000"]) == [5, 10]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_a_record_that_the_client_chokes_on_is_sent_by_sync(
    tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = _Change.add

    def choke(change: _Change, event: dict[str, Any]) -> None:
        if (event["event"], event.get("trial")) == ("start", 1):
            raise KeyError("a mistake of ours")
        add(change, event)

    recorder = make(tmp_path, tracking_uri)
    with monkeypatch.context() as broken:
        broken.setattr(_Change, "add", choke)
        recorder.open()
        for number in range(3):
            play(recorder, number, [0.1, 0.2], finished=True)
        assert not recorder.finish()
        assert steps(tracking_uri, runs_of(tracking_uri)["trial-002"]) == [5, 10]
        assert sync(tmp_path / "study")["left"] == 1
    assert sync(tmp_path / "study") == {"sent": 1, "left": 0}
    runs = runs_of(tracking_uri)
    assert set(runs) == {"study s1", "trial-000", "trial-001", "trial-002"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["trial-001"].data.params == {"optimizer.lr": "0.05", "model.hidden": "[8, 4]"}
    assert steps(tracking_uri, runs["trial-001"]) == [5, 10]
    assert sync(tmp_path / "study") == {"sent": 0, "left": 0}


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no records of a study"):
        sync(tmp_path)


@pytest.mark.slow
def test_a_server_that_stops_in_the_middle_gets_everything_once(
    server: Any, tmp_path: Path, tracking_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.start()
    recorder = make(tmp_path, server.uri)
    recorder.open()
    for number in range(10):
        play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    assert recorder.flush(30)
    for number in range(10, 20):
        play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    server.stop()
    for number in range(20, 30):
        play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    assert not recorder.flush(1.0)
    assert caplog.text.count("does not answer") == 1
    server.start()
    assert recorder.finish(timeout_s=60)
    runs = runs_of(tracking_uri)
    assert len(runs) == 31
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    client: MlflowClient = open_client(tracking_uri)
    for number in range(30):
        points = client.get_metric_history(runs[f"trial-{number:03d}"].info.run_id, MONITOR)
        assert [point.step for point in points] == [5, 10, 15]
