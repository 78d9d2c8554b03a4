"""A study over three hosts of which one is killed, one falls silent, and one joins."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tune.trial.trainable import CHECKPOINT_EVERY_S

from .host_store import BUCKET, HostStore
from .hosts import Host, Hosts, end
from .study_events import (
    CONFIG,
    DRIVER,
    check_trials,
    events_of,
    lost_seconds,
    trained_s,
    trial_runs,
)

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.ray, pytest.mark.long]

DATA = Path(os.environ.get("HBPR_DATA_HOME", Path.home() / ".hbpr" / "data"))
REPO = Path(__file__).parents[2]
#: What `sweep.storage` may be; only for the first do all hosts share a folder.
STORAGES = {"folder": "{shared}/studies", "store": f"s3://{BUCKET}/studies", "driver": "driver"}
CUT_S = 60.0


@pytest.fixture(scope="module")
def store(hosts: Hosts) -> HostStore:
    """An object store on h8."""
    return HostStore(hosts, 8)


@pytest.fixture(scope="module")
def head(hosts: Hosts, store: HostStore) -> Hosts:
    """A head with one CPU, and no worker."""
    if not (DATA / "ml-1m").is_dir():
        pytest.skip(f"there is no ml-1m in {DATA} (HBPR_DATA_HOME)")
    hosts.env |= {"HBPR_DATA_HOME": str(DATA), "OMP_NUM_THREADS": "1"}
    first = hosts.add(1)
    hosts.start_node(first, "--num-cpus=1")
    hosts.wait_for_node(first)
    return hosts


@pytest.fixture(params=STORAGES)
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of storage."""
    return str(request.param)


@pytest.fixture
def three(head: Hosts, kind: str) -> Iterator[Hosts]:
    """The head and two workers, one CPU each; they share a folder only for a folder's sake."""
    workers = [_worker(head, n, kind) for n in (2, 3)]
    for worker in workers:
        head.wait_for_node(worker)
    yield head
    for host in list(head.hosts.values()):
        if host.name not in ("h1", "h8"):
            head.kill(host)


def _worker(net: Hosts, n: int, kind: str) -> Host:
    host = net.add(n, shares=kind == "folder")
    net.start_node(host, "--num-cpus=1")
    return host


def test_a_killed_host_a_silent_link_and_a_host_that_joins(three: Hosts, kind: str) -> None:
    h1, h2, h3 = (three.hosts[name] for name in ("h1", "h2", "h3"))
    config, log = three.shared / f"{kind}.yaml", three.shared / f"{kind}.events"
    storage = STORAGES[kind].format(shared=three.shared)
    text = CONFIG.replace("SHARED", str(three.shared)).replace("STORAGE", storage)
    config.write_text(text.replace("EXPERIMENT", kind))
    watch = three.watch()
    began = time.time()
    words = [sys.executable, "-c", DRIVER, str(config), three.head, str(log)]
    # Its baselines take a minute on one thread, when no trial runs any more.
    study = three.popen(h1, *words, env={"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "2"})

    def all_train(nodes: dict) -> bool:
        return sum(each["trials"] > 0 for each in nodes.values()) == 3

    try:
        start_s = watch.first(began, all_train, during=study)
        _wait(lambda: _is_in_the_middle(events_of(log)), study)
        killed = three.kill(h2)
        kill_s = watch.first(killed, lambda nodes: h2.address not in nodes)
        cut = three.cut(h3)
        h4 = _worker(three, 4, kind)
        cut_s = watch.first(cut, lambda nodes: h3.address not in nodes)
        time.sleep(max(CUT_S - (time.time() - cut), 0))
        mended = three.mend(h3)
        back_s = watch.first(mended, lambda nodes: h3.address in nodes, during=study)
        said, _ = study.communicate(timeout=400)
    finally:
        end(study)
    assert study.returncode == 0, said
    moments = watch.seen()
    alive = next(at for at, nodes in moments if h4.address in nodes)
    given = next(at for at, nodes in moments if nodes.get(h4.address, {"free": 1})["free"] < 1)
    again = next(
        (at for at, nodes in moments if at > mended and nodes.get(h3.address, {}).get("trials")),
        None,
    )
    came_back = "no" if again is None else f"after {again - mended:.1f} s"
    lost = lost_seconds(events_of(log))
    logger.info(
        f"{kind}: all three train after {start_s:.1f} s; kill noticed after {kill_s:.1f} s, silent "
        f"link after {cut_s:.1f} s, back {back_s:.1f} s after the link; a place on the host that "
        f"joined given after {given - alive:.1f} s, on the one that came back trials: "
        f"{came_back}; work lost by trial {lost}; study {moments[-1][0] - began:.0f} s"
    )
    assert kill_s < 5
    assert cut_s < 15
    assert given - alive < 10

    check_trials(three.shared / "mlflow.db", kind, events_of(log))
    period = max(each["seconds"] for each in events_of(log) if each["kind"] == "TrialReport")
    assert max(lost.values(), default=0.0) <= CHECKPOINT_EVERY_S + 2 * period


def _wait(
    found: Callable[[], bool], study: subprocess.Popen[str] | None = None, timeout_s: float = 240.0
) -> None:
    until = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < until, "it did not happen in time"
        if study is not None and study.poll() is not None:
            pytest.fail(f"the study was over before, with {study.poll()}: {study.communicate()[0]}")
        time.sleep(0.3)


def _is_in_the_middle(events: list[dict]) -> bool:
    """Whether each of the first trials has trained for longer than until its first checkpoint."""
    return all(trained_s(events, trial) > CHECKPOINT_EVERY_S + 3 for trial in range(3))


N_LOST = 24
JOB = ["data.source=synthetic", "data.synthetic.n_users=200", "mlflow.experiment_name=lost"]
JOB += ["training.n_iter=150", "training.early_stopping_patience=0", f"sweep.num_trials={N_LOST}"]


@pytest.mark.parametrize("kind", ["store"])
def test_the_head_is_lost_and_the_job_submitted_again_goes_on(
    three: Hosts, store: HostStore, kind: str
) -> None:
    h1, client = three.hosts["h1"], three.add(9, shares=False)
    workers = [three.hosts[name] for name in ("h2", "h3")]
    config, database = three.shared / "lost.yaml", three.shared / "lost.db"
    shutil.copy(REPO / "configs" / "quickstart.yaml", config)
    words = ["ray", "job", "submit", f"--address={three.dashboard}"]
    entry = ["python", "-m", "tune", str(config), "--resume-or-start", "--no-progress"]
    for text in (
        *JOB,
        f"sweep.storage={STORAGES[kind]}",
        f"mlflow.tracking_uri=sqlite:///{database}",
    ):
        entry += ["--set", text]

    wrong = three.root / "wrong"
    wrong.write_text("c" * 64)
    refused = three.run(
        client, *words, "--", "true", env={"RAY_AUTH_TOKEN_PATH": str(wrong)}, timeout_s=60
    )
    assert refused.returncode != 0
    assert re.search("(?i)unauthenticated|401|invalid.*token", refused.stdout), refused.stdout

    submitted = three.run(client, *words, "--no-wait", "--", *entry)
    assert submitted.returncode == 0, submitted.stdout
    _wait(lambda: _n_ended(database) >= 3)  # what MLflow knows is in the store
    killed = three.kill(h1)
    before = _n_ended(database)
    assert before < N_LOST, "it was over before the head was lost"
    h1 = three.add(1)
    three.start_node(h1, "--num-cpus=1")
    three.wait_for_node(h1)
    again = three.run(client, *words, "--", *entry, timeout_s=400)
    assert again.returncode == 0, again.stdout
    waits = {}
    for host in workers:
        ends = re.findall(r"ended with \d+ at (\S+)", host.log.read_text())
        waits[host.name] = round(float(ends[0]) - killed, 1) if ends else None
    logger.info(
        "%d of %d trials had ended; workers ended their wait after %s s; study %.0f s after the "
        "kill",
        *(before, N_LOST, waits, time.time() - killed),
    )
    (key,) = [key for key in store.names("studies/lost/") if key.endswith("/summary.json")]
    trials = json.loads(store.read(key))["trials"]
    assert sorted(trial["number"] for trial in trials) == list(range(N_LOST))
    runs = trial_runs(database, "lost")
    assert len(runs) == N_LOST
    assert {run.data.tags["hbpr.study_id"] for run in runs} == {key.split("/")[-2]}
    assert all(waits.values()), waits


def _n_ended(database: Path) -> int:
    """Count the trials that MLflow knows to have ended."""
    if not database.exists():
        return 0
    return sum(run.info.status != "RUNNING" for run in trial_runs(database, "lost"))
