"""A submitted study whose storage is a bucket: table, records and checkpoints are objects."""

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
CONFIG = """
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
def head(store: Store, head_with: Callable[..., Any]) -> Iterator[Any]:
    with head_with("bucket", store.env) as head:
        yield head


def _hbpr(head: Any, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hbpr", *words, "--address", head.dashboard],
        env=head.env | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"} | more,
        cwd=head.env["RAY_TMPDIR"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_a_job_of_a_bucket_is_stopped_and_goes_on(head: Any, store: Store, tmp_path: Path) -> None:
    rows = [f"u{k % 60},i{(k * k + k // 60) % 40}" for k in range(900)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item", *dict.fromkeys(rows)]) + "\n")
    config = tmp_path / "shop.yaml"
    words = {
        "TABLE": f"{tmp_path}/clicks.csv",
        "DATABASE": f"{tmp_path}/mlflow.db",
        "BUCKET": BUCKET,
    }
    config.write_text(re.sub("|".join(words), lambda found: words[found[0]], CONFIG))
    submitted = _hbpr(head, "submit", str(config), "--upload-data")
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
    assert begun in store.objects(), _hbpr(head, "jobs", "logs", job).stdout
    stopped = _hbpr(head, "jobs", "stop", job)
    assert stopped.returncode == 0, stopped.stderr
    summary = f"studies/shop/{study}/summary.json"
    assert summary not in store.objects()

    resumed = _hbpr(head, "jobs", "resume", job, "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert len(json.loads(store.read(summary))["trials"]) == 3
    said = "".join(
        run.stdout + run.stderr
        for run in (submitted, stopped, resumed, _hbpr(head, "jobs", "list", COLUMNS="300"))
    )
    assert study in said
    for secret in (SECRET, "AKIAreaderofatest"):
        assert secret not in said
        assert secret.encode() not in store.everything()
