import dataclasses
import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from hbpr.tracking.findings import BaselineRecord, Winner
from hbpr.tracking.goals import Goals, Objective
from hbpr.tracking.records import Exam, Identity, Origin, StudyRecord, Times, Tracking, TrialRecord
from tune.report.terminal import next_commands, show


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyRecord:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "studies" / "my study" / "20260101-000000-abcd"
    best = TrialRecord(
        1, {"optimizer.lr": 0.1234567, "model.n_latent": 8}, "COMPLETE", 0.4, {4: 0.4, 6: 0.3}
    )
    return StudyRecord(
        identity=Identity(
            folder.name, f"study {folder.name}", "my study", str(folder), str(folder / "model")
        ),
        tracking=Tracking(
            f"sqlite:///{tmp_path}/mlflow.db", "r1", "/#/experiments/1/runs?viewStateShareKey=s1"
        ),
        goals=Goals((Objective("val/auc", "max"),)),
        trials=(TrialRecord(0, {}, "PRUNED", 0.1, {2: 0.1}), best),
        winner=Winner(1, best.values, 0.4, 4, {"val/auc": 0.4, "val/mrr": 0.3}, {"test/auc": 0.35}),
        baselines=(
            BaselineRecord(
                "popularity", "popularity", {"val/auc": 0.2, "val/mrr": 0.1}, {"test/auc": 0.15}
            ),
        ),
        times=Times(75.0, 50.0, 80.0, 2.0),
    )


def test_the_page_has_what_a_person_needs(record: StudyRecord) -> None:
    out = io.StringIO()
    show(record, Console(file=out, width=80))
    said = out.getvalue()
    assert "2 trials (1 finished, 1 stopped, 0 failed) in 1 min 15 s" in said
    assert "took 80% of 2 CPUs" in said
    for words in (["optimizer.lr", "0.12346"], ["epochs", "4"]):
        assert any(all(word in line for word in words) for line in said.splitlines())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    (auc,) = [row for row in rows if row and row[0] == "auc"]
    assert auc == [
        "auc",
        "0.4000",
        "0.2000",
        "0.3500",
        "0.1500",
    ]


def test_a_resumed_study_has_the_time_of_all_sittings_and_its_data(record: StudyRecord) -> None:
    out = io.StringIO()
    resumed = dataclasses.replace(
        record,
        times=Times(75.0, 50.0, 80.0, 2.0, before_s=600.0),
        origin=Origin(exam=Exam("e", "films", "random", 943, 1682)),
    )
    show(resumed, Console(file=out, width=80))
    said = out.getvalue()
    assert "0 failed) in 1 min 15 s, after 10 min 0 s of trials in earlier sittings" in said
    assert "took 80% of 2 CPUs; 10 min 50 s over all sittings" in said
    assert "Data     films: 943 users, 1,682 items" in said


def test_commands_can_be_typed_as_they_stand(record: StudyRecord) -> None:
    commands = dict(next_commands(record))
    assert shlex.split(commands["report"])[1:] == ["report", "my study", "-o", "report.html"]
    serve = shlex.split(commands["serve"])
    assert serve[1:] == ["serve", "studies/my study/20260101-000000-abcd/model"]
    assert "MLFLOW_TRACKING_URI" not in commands["report"]
    assert commands["open"] == f"http://127.0.0.1:5000{record.tracking.view}"
    look = shlex.split(commands["look"])
    assert look[0] == "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
    assert look[2:5] == ["server", "--backend-store-uri", record.tracking.uri]


def test_a_server_is_named_where_plots_would_not_find_it(record: StudyRecord) -> None:
    remote = dataclasses.replace(
        record, tracking=dataclasses.replace(record.tracking, uri="http://mlflow.local:5000/")
    )
    commands = dict(next_commands(remote))
    assert commands["open"] == f"http://mlflow.local:5000{record.tracking.view}"
    assert commands["report"].startswith("MLFLOW_TRACKING_URI=http://mlflow.local:5000/ ")
    assert "look" not in commands
