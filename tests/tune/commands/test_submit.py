"""What `hbpr submit` refuses before anything is sent, and what it sends."""

import shlex
from pathlib import Path

import pytest

from cluster.jobs import client as jobs
from hbpr.cli.main import run
from tune.commands import local_tables
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


TABLE = """\
data:
  source: table
  table: {path: clicks.csv, item_features: {path: s3://shop/items.csv, id: item}}
sweep: {space: {optimizer.lr: [0.01, 0.1]}}
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of a table beside its settings, and a shared folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clicks.csv").write_text("user,item\nann,1\nbob,2\n")
    (tmp_path / "shared").mkdir()
    path = tmp_path / "study.yaml"
    path.write_text(TABLE)
    return path


class _Head:
    """What `submit` asks a cluster for."""

    def __init__(self) -> None:
        self.sent: list[dict] = []

    def submit_job(self, **job: object) -> str:
        self.sent.append(job)
        return str(job["submission_id"])


def _submit(table: Path, *options: str) -> int:
    sets = [f"sweep.storage={table.parent}/shared/studies", SHARED[3]]
    return run(
        submit, [str(table), *ADDRESS, *(w for text in sets for w in ("--set", text)), *options]
    )


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> _Head:
    head = _Head()
    monkeypatch.setattr(jobs, "connect", lambda address: head)
    return head


def test_a_local_table_is_refused_before_anything_is_sent(
    table: Path, head: _Head, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _submit(table) == 2
    assert "data.table.path: 'clicks.csv' lies on this machine" in capsys.readouterr().err
    path = f"{table.parent}/clicks.csv"
    monkeypatch.setattr(local_tables, "head_lacks", lambda client, paths: list(paths))
    assert _submit(table, "--set", f"data.table.path={path}") == 2
    said = capsys.readouterr().err
    assert f"data.table.path: the head of the cluster does not have {path}" in said
    assert "--upload-data copies it into sweep.storage" in said
    assert head.sent == []
    monkeypatch.setattr(local_tables, "head_lacks", lambda client, paths: [])
    assert _submit(table, "--set", f"data.table.path={path}") == 0
    assert "/.data/" not in head.sent[0]["entrypoint"]


def test_a_local_table_goes_along(
    table: Path, head: _Head, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_tables, "head_lacks", lambda client, paths: [])
    assert _submit(table, "--upload-data") == 0
    assert _submit(table, "--upload-data") == 0
    said = capsys.readouterr().err
    assert "clicks.csv (0.0 MB) is uploaded" in said
    assert "is there already" in said
    words = shlex.split(head.sent[0]["entrypoint"])
    assert shlex.split(head.sent[1]["entrypoint"])[-1] == words[-1]
    key, _, copy = words[-1].partition("=")
    assert key == "data.table.path"  # the other table is read where it is
    assert Path(copy).read_text() == "user,item\nann,1\nbob,2\n"
    assert Path(copy).is_relative_to(table.parent / "shared" / "studies" / ".data")

    assert _submit(table, "--upload-data", "--set", "sweep.storage=driver") == 2
    assert "driver is a disk of the head" in capsys.readouterr().err
    monkeypatch.setattr(local_tables, "head_lacks", lambda client, paths: list(paths))
    assert _submit(table, "--upload-data") == 2
    assert "but not the same one on the head" in capsys.readouterr().err


def test_a_table_that_is_searched_is_not_taken_along(
    table: Path, head: _Head, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "sweep.space={data.table.item_features.path: [items.csv, more.csv]}"
    assert _submit(table, "--upload-data", "--set", space) == 2
    assert "sweep.space: data.table.item_features.path is searched" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        ("s3://lab/studies/", "s3://lab/studies/quickstart"),
        ("driver", f"{jobs.HEADS_HOME}/hbpr/studies/quickstart"),
    ],
)
def test_where_a_study_is_found_again(storage: str, folder: str, head: _Head) -> None:
    sets = ["--set", f"sweep.storage={storage}", *SHARED[2:]]
    assert run(submit, [CONFIG, *ADDRESS, *sets]) == 0
    about = head.sent[0]["metadata"]
    assert about[jobs.FOLDER] == f"{folder}/{about[jobs.STUDY]}"


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
