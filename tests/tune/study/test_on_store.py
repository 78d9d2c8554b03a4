"""Studies on an object store: a server of the test's own on loopback, drivers that are killed."""

import json
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hbpr.tracking.records import TrialRecord
from tune.commands import study as study_commands
from tune.settings import make_plan
from tune.storage.bring import brought
from tune.storage.folder import read_settings
from tune.storage.lease import TERM_S
from tune.storage.trials import read_journal

from ...support.store import BUCKET, SECRET, Store, running_store

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1200)]

N_TRIALS = 4
#: A population writes a checkpoint at every interval, however fast its trials are.
CONFIG = f"""
data: {{source: synthetic, synthetic: {{n_users: 300, n_items: 200, n_shown: 60}}}}
training: {{n_iter: 100, eval_every: 2, early_stopping_patience: 0}}
mlflow: {{experiment_name: kept}}
sweep:
  storage: s3://{BUCKET}/studies
  scheduler: {{kind: pbt, interval: 4, quantile: 0.25}}
  search: {{algorithm: random, seed: 0}}
  num_trials: {N_TRIALS}
  max_concurrent: 1
  final: {{top: 1}}
  space:
    model.n_latent: [16]
    optimizer.lr: {{low: 0.01, high: 0.5, log: true}}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder for these drivers alone; short, as their sockets' paths must be."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


def url_of(store: Store) -> str:
    (key,) = [key for key in store.objects("studies/kept/") if key.endswith("/settings.json")]
    return f"s3://{BUCKET}/{key.removesuffix('/settings.json')}"


def checkpoints(store: Store, term: int) -> list[str]:
    keys = store.objects("studies/kept/")
    return [key for key in keys if f"/checkpoints/{term:05d}/" in key and "/epoch-" in key]


def journal(url: str) -> list[TrialRecord]:
    with brought(url, small=True) as folder:
        return read_journal(folder.path, make_plan(read_settings(folder.path)[0]).space)


def kill(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def study(*words: str) -> str:
    """`hbpr study`, in this process."""
    found = CliRunner().invoke(study_commands.study, words)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.usefixtures("tracking_uri")
def test_a_killed_driver_a_second_one_and_an_empty_disk(
    store: Store, tmp_path: Path, terminal: Any, temporary: Path
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ("--cpus", "1", "--no-progress")
    said: list[str] = []
    first = terminal.start(tmp_path, "tune", "config.yaml", *options)
    terminal.wait_until(lambda: len(checkpoints(store, 1)) >= 2 * N_TRIALS, first)
    kill(first)
    url = url_of(store)
    before = {trial.number: trial for trial in journal(url)}
    known = checkpoints(store, 1)
    assert any(trial.state == "RUNNING" and trial.reports for trial in before.values())
    for path in temporary.iterdir():
        shutil.rmtree(path, ignore_errors=True)

    second = terminal.start(tmp_path, "study", "resume", url, *options)
    terminal.wait_until(lambda: bool(checkpoints(store, 2)), second)
    third = terminal.start(tmp_path, "study", "resume", url, *options)
    taken = {tuple(key.split("/")[-2:]) for key in checkpoints(store, 2)}
    assert taken <= {tuple(key.split("/")[-2:]) for key in known}, "they are the killed driver's"
    assert "running" in study("list", "--storage", f"s3://{BUCKET}/studies")
    said += terminal.end(third, code=1)
    assert f"another driver runs it: process {second.pid} on" in said[-1]
    said += terminal.end(second)

    trials = journal(url)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state for trial in trials} <= {"COMPLETE", "PRUNED"}
    for number, trial in before.items():
        told = trials[number]
        assert trial.reports.items() <= told.reports.items(), "nothing that was known is lost"
        assert told.values == trial.values
    assert "trials" in study("show", url)
    assert checkpoints(store, 1) == checkpoints(store, 2) == []
    assert not list(temporary.glob("hbpr-studies-*/*/*/*")), "the working folder is gone"
    check_records(tmp_path, url, trials)
    summary = json.loads(store.read(url.partition(BUCKET + "/")[2] + "/summary.json"))
    assert summary["winner"]
    nowhere_a_secret(store, tmp_path, said)


def check_records(above: Path, url: str, trials: list[TrialRecord]) -> None:
    """MLflow holds each trial once, with its status and each step once."""
    words = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    expected = {f"trial-{t.number:03d}": words[t.state] for t in trials}
    with sqlite3.connect(above / "mlflow.db") as database:
        rows = database.execute("select name, status from runs").fetchall()
        twice = database.execute(
            "select run_uuid, key, step from metrics group by 1, 2, 3 having count(*) > 1"
        ).fetchall()
    assert sorted(rows) == sorted([*expected.items(), (f"study {url[-20:]}", "FINISHED")])
    assert twice == []


def nowhere_a_secret(store: Store, above: Path, said: list[str]) -> None:
    """Neither the study, nor MLflow's records and artifacts, nor what was said, has the key."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        secret = store.env[name]
        assert secret.encode() not in store.everything()
        assert not any(secret in text for text in said)
        for path in above.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.usefixtures("tracking_uri")
def test_a_driver_that_lost_its_lease_stops_and_the_study_goes_on_elsewhere(
    store: Store, tmp_path: Path, terminal: Any, temporary: Path
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ("--set", "mlflow.experiment_name=lost", "--cpus", "1", "--no-progress")
    driver = terminal.start(tmp_path, "tune", "config.yaml", *options)
    terminal.wait_until(
        lambda: any("/log/00001/journal.log/" in key for key in store.objects("studies/lost")),
        driver,
    )
    (key,) = [key for key in store.objects("studies/lost") if key.endswith("/lease.json")]
    lease = {"term": 2, "owner": "process 1 on a host that went away", "until": 0, "id": "x"}
    store.client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(lease).encode())
    out, err = terminal.end(driver, code=1)
    assert "another driver went on with it (process 1 on a host that went away)" in out + err
    assert not any(key.endswith("summary.json") for key in store.objects("studies/lost"))
    began = time.monotonic()
    terminal.run(tmp_path, "tune", "config.yaml", *options, "--resume-or-start")
    assert time.monotonic() - began > TERM_S, "that driver might have been alive"
    assert len([k for k in store.objects("studies/lost") if k.endswith("/settings.json")]) == 1
    assert any(key.endswith("summary.json") for key in store.objects("studies/lost"))


@pytest.mark.usefixtures("tracking_uri")
def test_a_bucket_that_does_not_exist(store: Store, tmp_path: Path, terminal: Any) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    began = time.monotonic()
    _, err = terminal.run(
        tmp_path, "tune", "config.yaml", "--set", "sweep.storage=s3://nobody/studies", code=2
    )
    assert time.monotonic() - began < 60, "it took an age; the start of the program is in it"
    assert "sweep.storage: s3://nobody/studies/kept/" in err
    assert "there is no such bucket" in err
    assert SECRET not in err
