"""A study over three hosts of which one is killed, one falls silent, and one joins."""

import json
import logging
import os
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tune.trial.trainable import CHECKPOINT_EVERY_S

from .hosts import Hosts

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.ray, pytest.mark.long]

DATA = Path(os.environ.get("HBPR_DATA_HOME", Path.home() / ".hbpr" / "data"))
N_TRIALS, N_ITER, EVERY = 24, 120, 12

#: Runs a study and writes down each of its events.
DRIVER = """
import json, sys, time
from dataclasses import asdict
from tune.settings import load_study
from tune.study import run_study
with open(sys.argv[3], "a", buffering=1) as events:
    def note(event):
        kind = type(event).__name__
        events.write(json.dumps({"kind": kind, "at": time.time()} | asdict(event)) + "\\n")
    run_study(load_study(sys.argv[1]), address=sys.argv[2], progress=False, callbacks=[note])
"""
CONFIG = f"""
data: {{source: movielens, name: ml-1m, rating_threshold: 4.0}}
model: {{n_latent: 32}}
optimizer: {{name: sgd, lr: 0.05}}
training: {{n_iter: {N_ITER}, eval_every: {EVERY}, early_stopping_patience: 0}}
mlflow: {{experiment_name: hosts, tracking_uri: "sqlite:///SHARED/mlflow.db"}}
sweep:
  storage: STORAGE
  scheduler: {{kind: none}}
  search: {{algorithm: random, seed: 0}}
  num_trials: {N_TRIALS}
  space:
    optimizer.lr: {{low: 0.01, high: 0.1, log: true}}
  final: {{refit: none}}
"""


@pytest.fixture(scope="module")
def three(hosts: Hosts) -> Hosts:
    """A head and two workers, one CPU each."""
    if not (DATA / "ml-1m").is_dir():
        pytest.skip(f"there is no ml-1m in {DATA} (HBPR_DATA_HOME)")
    hosts.env |= {"HBPR_DATA_HOME": str(DATA), "OMP_NUM_THREADS": "1"}
    first, *others = (hosts.add(n) for n in (1, 2, 3))
    hosts.start_node(first, "--num-cpus=1")
    hosts.wait_for_node(first)
    for other in others:
        hosts.start_node(other, "--num-cpus=1")
    for other in others:
        hosts.wait_for_node(other)
    return hosts


#: What `sweep.storage` may be; each is tried.
STORAGES = {"folder": "{shared}/studies"}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, three: Hosts) -> str:
    return STORAGES[request.param].format(shared=three.shared)


def _events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_killed_host_a_silent_link_and_a_host_that_joins(three: Hosts, storage: str) -> None:
    h1, h2, h3 = (three.hosts[name] for name in ("h1", "h2", "h3"))
    config, log = three.shared / "study.yaml", three.shared / "events"
    text = CONFIG.replace("SHARED", str(three.shared)).replace("STORAGE", storage)
    config.write_text(text)
    watch = three.watch()
    began = time.time()
    study = three.popen(
        h1,
        sys.executable,
        "-c",
        DRIVER,
        str(config),
        three.head,
        str(log),
        env={"PYTHONSAFEPATH": "1"},
    )

    def all_train(nodes: dict) -> bool:
        return sum(each["trials"] > 0 for each in nodes.values()) == 3

    try:
        start_s = watch.first(began, all_train, during=study)
        _wait(lambda: _is_in_the_middle(_events(log)), study)
        killed = three.kill(h2)
        kill_s = watch.first(killed, lambda nodes: h2.address not in nodes)
        h4 = three.add(4)
        three.start_node(h4, "--num-cpus=1")
        three.wait_for_node(h4)
        cut = three.cut(h3)
        cut_s = watch.first(cut, lambda nodes: h3.address not in nodes)
        time.sleep(max(60 - (time.time() - cut), 0))
        mended = three.mend(h3)
        back_s = watch.first(mended, lambda nodes: h3.address in nodes)
        said, _ = study.communicate(timeout=600)
    finally:
        study.kill()
    assert study.returncode == 0, said
    moments = watch.seen()
    alive = next(at for at, nodes in moments if h4.address in nodes)
    given = next(at for at, nodes in moments if nodes.get(h4.address, {"free": 1})["free"] < 1)
    again = next(
        (at for at, nodes in moments if at > mended and nodes.get(h3.address, {}).get("trials")),
        0.0,
    )
    lost = _lost_seconds(_events(log))
    logger.info(
        f"all three train after {start_s:.1f} s; kill noticed after {kill_s:.1f} s, silent link "
        f"after {cut_s:.1f} s, back {back_s:.1f} s after the link; a place on the host that joined "
        f"given after {given - alive:.1f} s, on the one that came back trials after "
        f"{again - mended:.1f} s; work lost by trial {lost}; study {moments[-1][0] - began:.0f} s"
    )
    assert kill_s < 5
    assert cut_s < 15
    assert given - alive < 10

    _check_trials(three.shared, _events(log))
    assert lost, "no trial was interrupted"
    period = max(each["seconds"] for each in _events(log) if each["kind"] == "TrialReport")
    assert max(lost.values()) <= CHECKPOINT_EVERY_S + 2 * period


def _wait(found, study, timeout_s: float = 240.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if result := found():
            return result
        assert study.poll() is None, study.communicate()[0]
        time.sleep(0.3)
    raise AssertionError("it did not happen in time")


def _is_in_the_middle(events: list[dict]) -> bool:
    """Whether first trials have trained long enough for a checkpoint, and none has ended."""
    return bool(events) and events[-1]["at"] - events[0]["at"] > CHECKPOINT_EVERY_S + 1


def _lost_seconds(events: list[dict]) -> dict[int, float]:
    """Seconds of work that was reported and done again, by trial."""
    done: dict[int, dict[int, float]] = defaultdict(dict)
    lost: Counter[int] = Counter()
    for event in events:
        if event["kind"] != "TrialReport":
            continue
        known = done[event["trial"]]
        if known and event["epoch"] <= max(known):
            again = [epoch for epoch in known if epoch >= event["epoch"]]
            lost[event["trial"]] += sum(known.pop(epoch) for epoch in again)
        elif known and event["epoch"] > max(known) + EVERY:
            raise AssertionError(f"trial {event['trial']} skipped from {max(known)} to {event}")
        known[event["epoch"]] = event["seconds"]
    return {trial: round(seconds, 1) for trial, seconds in lost.items()}


def _check_trials(shared: Path, events: list[dict]) -> None:
    """All are there, in order, once; MLflow has every epoch of every one."""
    ends = [event for event in events if event["kind"] == "TrialEnd"]
    assert sorted(event["trial"] for event in ends) == list(range(N_TRIALS))
    assert {event["state"] for event in ends} == {"COMPLETE"}
    client = MlflowClient(f"sqlite:///{shared}/mlflow.db")
    experiment = client.get_experiment_by_name("hosts")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    runs = [run for run in runs if run.data.tags["hbpr.kind"] == "trial"]
    assert len(runs) == N_TRIALS
    assert {run.info.status for run in runs} == {"FINISHED"}
    epochs = list(range(EVERY, N_ITER + 1, EVERY))
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "val/ndcg_at_10")
        assert [each.step for each in history] == epochs, run.data.tags
    assert sum(int(run.data.tags.get("hbpr.restarts", 0)) for run in runs) >= 1


JOB = ["data.source=synthetic", "data.synthetic.n_users=200", "mlflow.experiment_name=lost"]
JOB += ["training.n_iter=150", "training.early_stopping_patience=0", "sweep.num_trials=12"]


def test_the_head_is_lost_and_the_job_submitted_again_goes_on(three: Hosts) -> None:
    h1, client = three.hosts["h1"], three.add(9)
    sets = [*JOB, f"sweep.storage={three.shared}/studies"]
    config = three.shared / "lost.yaml"
    config.write_text((Path(__file__).parents[2] / "configs" / "quickstart.yaml").read_text())
    words = ["ray", "job", "submit", f"--address={three.dashboard}"]
    entry = ["python", "-m", "tune", str(config), "--resume-or-start", "--no-progress"]
    for text in (*sets, f"mlflow.tracking_uri=sqlite:///{three.shared}/lost.db"):
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
    journal = "studies/lost/*/journal.log"

    def ended() -> int:
        texts = (path.read_text() for path in three.shared.glob(journal))
        return sum(len(re.findall(r'"op_code": ?6.*"state": ?[123]', text)) for text in texts)

    until = time.monotonic() + 180
    while ended() < 3 and time.monotonic() < until:
        time.sleep(0.5)
    before = ended()
    assert before >= 3, submitted.stdout
    workers = [host for name, host in three.hosts.items() if name not in ("h1", "h9")]
    logs = {host.name: host.log.read_text().count("ended with") for host in workers}
    killed = three.kill(h1)
    h1 = three.add(1)
    h1.log.unlink()
    three.start_node(h1, "--num-cpus=1")
    three.wait_for_node(h1)
    again = three.run(client, *words, "--", *entry, timeout_s=400)
    assert again.returncode == 0, again.stdout
    waits = {}
    for host in workers:
        ends = re.findall(r"ended with \d+ at (\S+)", host.log.read_text())[logs[host.name] :]
        waits[host.name] = round(float(ends[0]) - killed, 1) if ends else None
    logger.info("%d of 12 trials had ended; workers ended their wait after %s s", before, waits)
    (summary,) = three.shared.glob("studies/lost/*/summary.json")
    trials = json.loads(summary.read_text())["trials"]
    assert sorted(trial["number"] for trial in trials) == list(range(12))
    assert all(waits.values()), waits
