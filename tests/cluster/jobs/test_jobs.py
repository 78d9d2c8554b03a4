"""A study as a job of a real head that asks for a token: followed, stopped, resumed, refused."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ...support.store import BUCKET, SECRET, Store, running_store

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[3]
CONFIG = str(REPO / "configs" / "quickstart.yaml")
IN_A_BUCKET = """
data: {source: table, table: {path: TABLE}}
mlflow: {experiment_name: shop, tracking_uri: "sqlite:///DATABASE"}
training: {n_iter: 300, eval_every: 1, early_stopping_patience: 300}
sweep:
  space: {optimizer.lr: [0.01, 0.02, 0.1]}
  search: {algorithm: grid}
  scheduler: {kind: none}
  storage: s3://BUCKET/studies
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def bucket_head(store: Store, head_with: Callable[..., Any]) -> Iterator[Any]:
    with head_with("bucket", store.env) as head:
        yield head


def _hbpr(head, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hbpr", *words, "--address", head.dashboard],
        env=head.env | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"} | more,
        cwd=head.env["RAY_TMPDIR"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def _sets(folder: Path, *sets: str) -> list[str]:
    options = [
        "sweep.num_trials=3",
        "sweep.scheduler.kind=none",
        "data.synthetic.n_users=150",
        f"sweep.storage={folder}/studies",
        f"mlflow.tracking_uri=sqlite:///{folder}/mlflow.db",
        *sets,
    ]
    return [word for text in options for word in ("--set", text)]


def test_a_job_is_stopped_in_order_and_goes_on(token_head, tmp_path: Path) -> None:
    sets = _sets(tmp_path, "training.n_iter=100")
    submitted = _hbpr(token_head, "submit", CONFIG, *sets)
    assert submitted.returncode == 0, submitted.stderr
    found = re.search(r"job (quickstart-(\d{8}-\d{6}-[0-9a-f]{4})) is submitted", submitted.stdout)
    assert found is not None
    job, study = found.groups()
    folder = tmp_path / "studies" / "quickstart" / study
    until = time.monotonic() + 300
    while not folder.is_dir() and time.monotonic() < until:
        time.sleep(1)
    assert folder.is_dir(), _hbpr(token_head, "jobs", "logs", job).stdout
    stopped = _hbpr(token_head, "jobs", "stop", job)
    assert stopped.returncode == 0, stopped.stderr
    assert "hbpr jobs resume" in stopped.stdout
    assert not (folder / "summary.json").exists()
    assert "the study was stopped" in _hbpr(token_head, "jobs", "logs", job).stdout
    assert _hbpr(token_head, "jobs", "logs", job, "--follow").returncode == 130

    resumed = _hbpr(token_head, "jobs", "resume", job, "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    trials = json.loads((folder / "summary.json").read_text())["trials"]
    assert len(trials) == 3
    listed = _hbpr(token_head, "jobs", "list", COLUMNS="200").stdout
    assert f"{job}-again-1" in listed
    assert listed.count(study) >= 2
    assert "STOPPED" in listed
    assert "SUCCEEDED" in listed
    again = _hbpr(token_head, "jobs", "resume", f"{job}-again-1")
    assert again.returncode == 2
    assert "has come to its result" in again.stderr


def test_a_job_that_fails_has_its_drivers_exit_code(token_head, tmp_path: Path) -> None:
    sets = _sets(tmp_path, "sweep.resources.cpu=99")
    failed = _hbpr(token_head, "submit", CONFIG, *sets, "--follow")
    assert failed.returncode == 2, failed.stdout + failed.stderr
    assert "one trial needs CPU 99" in failed.stdout


def test_a_table_of_this_machine_goes_along(token_head, tmp_path: Path) -> None:
    rows = [f"u{k % 60},i{(k * k + k // 60) % 40}" for k in range(900)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item", *dict.fromkeys(rows)]) + "\n")
    config = tmp_path / "shop.yaml"
    config.write_text(
        "data: {source: table, table: {path: PATH}}\n"
        "mlflow: {experiment_name: shop}\n"
        "training: {n_iter: 2, eval_every: 1}\n"
        "sweep: {space: {optimizer.lr: [0.01, 0.1]}, search: {algorithm: grid}}\n".replace(
            "PATH", str(tmp_path / "clicks.csv")
        )
    )
    places = [f"sweep.storage={tmp_path}/studies", f"mlflow.tracking_uri=sqlite:///{tmp_path}/m.db"]
    sets = [word for text in places for word in ("--set", text)]
    away = ["--set", "data.table.path=/no/such/folder/clicks.csv"]
    refused = _hbpr(token_head, "submit", str(config), *sets, *away)
    assert refused.returncode == 2
    assert "the head of the cluster does not have /no/such/folder/clicks.csv" in refused.stderr
    assert "shop-" not in _hbpr(token_head, "jobs", "list", COLUMNS="200").stdout

    done = _hbpr(token_head, "submit", str(config), *sets, "--upload-data", "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clicks.csv (0.0 MB) is uploaded" in done.stderr
    (settings,) = tmp_path.glob("studies/shop/*/settings.json")
    copy = json.loads(settings.read_text())["settings"]["data"]["table"]["path"]
    assert copy.startswith(f"{tmp_path}/studies/.data/")
    assert copy.endswith("/clicks.csv")


def test_a_wrong_token_and_an_unknown_job(token_head, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("c" * 64)
    refused = _hbpr(token_head, "jobs", "list", RAY_AUTH_TOKEN_PATH=str(wrong))
    assert refused.returncode == 2
    assert "does not hold the cluster's token" in refused.stderr
    unknown = _hbpr(token_head, "jobs", "logs", "nothing")
    assert unknown.returncode == 2
    assert "knows no such job" in unknown.stderr


def test_a_job_of_a_bucket_is_stopped_and_goes_on(
    bucket_head: Any, store: Store, tmp_path: Path
) -> None:
    rows = [f"u{k % 60},i{(k * k + k // 60) % 40}" for k in range(900)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item", *dict.fromkeys(rows)]) + "\n")
    config = tmp_path / "shop.yaml"
    words = {
        "TABLE": f"{tmp_path}/clicks.csv",
        "DATABASE": f"{tmp_path}/mlflow.db",
        "BUCKET": BUCKET,
    }
    config.write_text(re.sub("|".join(words), lambda found: words[found[0]], IN_A_BUCKET))
    submitted = _hbpr(bucket_head, "submit", str(config), "--upload-data")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    found = re.search(r"job (shop-(\d{8}-\d{6}-[0-9a-f]{4})) is submitted", submitted.stdout)
    assert found is not None, submitted.stdout
    job, study = found.groups()
    (table,) = (key for key in store.objects() if key.endswith("clicks.csv"))
    assert table.startswith("studies/.data/")

    until = time.monotonic() + 300
    begun = f"studies/shop/{study}/settings.json"
    while begun not in store.objects() and time.monotonic() < until:
        time.sleep(0.5)
    assert begun in store.objects(), _hbpr(bucket_head, "jobs", "logs", job).stdout
    stopped = _hbpr(bucket_head, "jobs", "stop", job)
    assert stopped.returncode == 0, stopped.stderr
    summary = f"studies/shop/{study}/summary.json"
    assert summary not in store.objects()

    resumed = _hbpr(bucket_head, "jobs", "resume", job, "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert len(json.loads(store.read(summary))["trials"]) == 3
    said = "".join(
        run.stdout + run.stderr
        for run in (submitted, stopped, resumed, _hbpr(bucket_head, "jobs", "list", COLUMNS="300"))
    )
    assert study in said
    for secret in (SECRET, "AKIAreaderofatest"):
        assert secret not in said
        assert secret.encode() not in store.everything()
