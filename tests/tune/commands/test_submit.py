"""What `hbpr submit` refuses before anything is sent, and what it sends."""

from pathlib import Path

import pytest

from cluster.jobs import client as jobs
from hbpr.cli.main import run
from tune.commands.submit import submit

REPO = Path(__file__).parents[3]
CONFIG = str(REPO / "configs" / "quickstart.yaml")
ADDRESS = ["--address", "http://127.0.0.1:1"]
SHARED = [
    "--set",
    "sweep.storage=/shared/studies",
    "--set",
    "mlflow.tracking_uri=http://mlflow:5000",
]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "sweep.storage: 'studies' would lie in the job's own folder"),
        (SHARED[:2], "mlflow.tracking_uri: sqlite:///"),
        (
            [*SHARED[:2], "--set", "mlflow.tracking_uri=http://ann:hidden@h:5000"],
            "in http://h:5000",
        ),
        ([*SHARED, "--set", "training.n_iter=x"], "training.n_iter"),
        (SHARED, "nothing answers there"),
    ],
)
def test_what_cannot_run_there_is_refused(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(submit, [CONFIG, *ADDRESS, *options]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "hidden" not in text


def test_what_is_sent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent = []

    class Client:
        def submit_job(self, **job: object) -> str:
            sent.append(job)
            return str(job["submission_id"])

    monkeypatch.setattr(jobs, "connect", lambda address: Client())
    assert run(submit, [CONFIG, *ADDRESS, *SHARED, "--set", "mlflow.experiment_name=My films"]) == 0
    (job,) = sent
    study = job["metadata"][jobs.STUDY]
    assert job["submission_id"] == f"My-films-{study}"
    assert job["metadata"]["job_name"] == f"My films {study}"
    assert job["metadata"][jobs.FOLDER].startswith("/shared/studies/")
    assert job["metadata"][jobs.FOLDER].endswith(f"/{study}")
    assert job["entrypoint"].startswith(
        f"python -m tune study.yaml --resume-or-start {study} --no-progress --set "
    )
    assert "'mlflow.experiment_name=My films'" in job["entrypoint"]
    assert f"hbpr jobs logs My-films-{study}" in capsys.readouterr().out
