"""What is refused on three hosts before the first trial, and nodes that join later."""

import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hbpr.version import __version__

from .hosts import Host, Hosts, end

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[2]
NOWHERE = "10.77.0.8"


@pytest.fixture(scope="module")
def three(hosts: Hosts) -> Hosts:
    """A head, a worker with two CPUs and what Ray is told to be a GPU, and a host without Ray."""
    hosts.env |= {"OMP_NUM_THREADS": "1"}
    first, _ = hosts.add(1), hosts.add(9)
    hosts.start_node(first, "--num-cpus=1")
    hosts.wait_for_node(first)
    _start_second(hosts)
    (hosts.shared / "study.yaml").write_text((REPO / "configs" / "quickstart.yaml").read_text())
    return hosts


def _start_second(net: Hosts) -> None:
    second = net.add(2)
    net.start_node(second, "--num-cpus=2", "--num-gpus=1")
    net.wait_for_node(second)


def _words(net: Hosts, *sets: str, address: str | None = None) -> list[str]:
    options = [
        "data.synthetic.n_users=150",
        "sweep.scheduler.kind=none",
        f"sweep.storage={net.shared}/studies",
        f"mlflow.tracking_uri=sqlite:///{net.shared}/mlflow.db",
        *sets,
    ]
    words = [sys.executable, "-m", "hbpr", "tune", "study.yaml", "--no-progress"]
    words += ["--address", address or net.head]
    return words + [word for text in options for word in ("--set", text)]


def _refused(net: Hosts, host: str, words: list[str], **env: str) -> str:
    began = time.monotonic()
    said = net.run(net.hosts[host], *words, env=env, timeout_s=120)
    took = time.monotonic() - began
    text = " ".join(said.stdout.split())
    logger.info("refused after %.1f s: %s", took, text[:300])
    assert said.returncode == 2, said.stdout
    assert "Traceback" not in said.stdout
    assert took < 20  # seconds; under ten where nothing else runs
    return text


def test_what_is_refused_before_the_first_trial(three: Hosts) -> None:
    text = _refused(three, "h1", _words(three, f"sweep.storage={three.ray}/studies"))
    assert "1 of 2 nodes" in text
    assert f"h2 (10.77.0.2): No such file or directory: {three.ray}/studies/" in text
    assert "sweep.storage must be one folder that every node shares" in text

    text = _refused(three, "h1", _words(three, f"mlflow.tracking_uri=http://{NOWHERE}:5000"))
    assert f"{NOWHERE}:5000" in text

    text = _refused(three, "h1", _words(three, "sweep.resources.gpu=2"))
    assert "sweep.resources: one trial needs CPU 1, GPU 2, memory 230 MiB on one node" in text

    text = _refused(three, "h1", _words(three, address=f"{NOWHERE}:6379"))
    assert f"--address {NOWHERE}:6379: nothing answers at {NOWHERE}:6379" in text

    (three.hosts["h9"].own / "ray").mkdir()
    (three.hosts["h9"].own / "ray" / "ray_current_cluster").write_text(f"{NOWHERE}:6379")
    text = _refused(three, "h9", _words(three, address="auto"))
    assert f"ray_current_cluster: {NOWHERE}:6379): nothing answers" in text
    assert "may be left over from a Ray that has ended" in text


def test_a_node_with_little_memory_and_another_version_is_refused(three: Hosts) -> None:
    h3 = three.add(3)
    small = ["--num-cpus=1", "--num-gpus=2", "--memory=104857600"]
    three.start_node(h3, *small, env={"PYTHONPATH": _other_hbpr(three.root)})
    three.wait_for_node(h3)
    try:
        memory = _refused(three, "h1", _words(three, "sweep.resources.gpu=2"))
        text = _refused(three, "h1", _words(three))
    finally:
        three.kill(h3)
    assert "h3: CPU 1, GPU 2, memory 100 MiB" in memory
    assert f"h3 (10.77.0.3): other versions: hbpr 9.9.9, here {__version__}" in text


def _other_hbpr(root: Path) -> str:
    """Return a folder with an hbpr of another version."""
    folder = root / "other"
    (folder / "hbpr").mkdir(parents=True)
    for path in (REPO / "hbpr").iterdir():
        (folder / "hbpr" / path.name).symlink_to(path)
    (folder / "hbpr" / "version.py").unlink()
    (folder / "hbpr" / "version.py").write_text('__version__ = "9.9.9"\n')
    for name in ("tune", "cluster", "dashboards"):
        (folder / name).symlink_to(REPO / name)
    return str(folder)


def _other_torch(root: Path) -> str:
    """Return a folder that says that torch is of another version."""
    folder = root / "torch"
    (folder / "torch-9.9.dist-info").mkdir(parents=True)
    (folder / "torch-9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n"
    )
    return f"{folder}:{REPO}"


def test_nodes_that_join_are_checked_and_a_drained_one_hands_its_trials_on(three: Hosts) -> None:
    h1, h2 = three.hosts["h1"], three.hosts["h2"]
    watch = three.watch()
    watch.first(0, lambda nodes: set(nodes) == {h1.address, h2.address})  # the third is killed
    began = time.time()
    sets = ["sweep.num_trials=9", "training.n_iter=1000", "training.eval_every=20"]
    sets += ["training.early_stopping_patience=0"]
    sets += ["sweep.faults.max_retries=0", "mlflow.experiment_name=late"]
    late: list[Host] = []
    study = three.popen(h1, *_words(three, *sets))
    try:
        watch.first(began, lambda nodes: nodes.get(h2.address, {}).get("trials") == 2, during=study)
        late = [three.add(3), three.add(4, shares=False)]
        torch = {"PYTHONPATH": _other_torch(three.root)}
        for host, env in zip(late, (torch, {}), strict=True):  # one at a time, beside trials
            three.start_node(host, "--num-cpus=1", env=env)
            three.wait_for_node(host)
        time.sleep(10)  # they are asked, and answer
        drained = three.drain(watch.seen()[-1][1][h2.address]["id"], deadline_s=5)
        gone_s = watch.first(drained, lambda nodes: h2.address not in nodes, during=study)
        said, _ = study.communicate(timeout=300)
    finally:
        end(study)
        for host in (h2, *late):  # `ray start --block` waits on where its node was drained
            three.kill(host)
    _start_second(three)
    logger.info("drained node gone after %.1f s; study %.0f s", gone_s, time.time() - began)
    assert study.returncode == 0, said
    assert re.search(
        r"h3 \(10\.77\.0\.3\) has joined and gets no trials: other versions: torch 9.9", said
    )
    assert re.search(r"h4 \(10\.77\.0\.4\) has joined and gets no trials: .*sweep\.storage", said)
    places = {address for _, nodes in watch.seen() for address in nodes if nodes[address]["trials"]}
    assert places <= {h1.address, h2.address}
    (summary,) = three.shared.glob("studies/late/*/summary.json")
    trials = json.loads(summary.read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 9


def test_shares_of_a_gpu_beside_a_node_without_one(three: Hosts) -> None:
    h1, h2 = three.hosts["h1"], three.hosts["h2"]
    watch = three.watch()
    began = time.time()
    sets = ["sweep.num_trials=4", "training.n_iter=60", "sweep.resources.gpu=0.5"]
    done = three.run(h1, *_words(three, *sets, "mlflow.experiment_name=shares"))
    assert done.returncode == 0, done.stdout
    seen = [nodes for at, nodes in watch.seen() if at > began]
    assert max(nodes.get(h2.address, {}).get("trials", 0) for nodes in seen) == 2
    assert not any(nodes[h1.address]["trials"] for nodes in seen)


def test_a_study_is_submitted_from_a_host_outside_with_the_token(three: Hosts) -> None:
    words = _words(three, "sweep.num_trials=2", "training.n_iter=10")
    config, sets = str(three.shared / "study.yaml"), words[words.index("--set") :]
    words = ["env", "--chdir=/", sys.executable, "-m", "hbpr", "submit", config, *sets]
    words += ["--address", three.dashboard, "--follow"]
    three.hosts["h9"].log.write_text("c" * 64)
    text = _refused(three, "h9", words, RAY_AUTH_TOKEN_PATH=str(three.hosts["h9"].log))
    assert "does not hold the cluster's token" in text
    done: subprocess.CompletedProcess[str] = three.run(three.hosts["h9"], *words)
    assert done.returncode == 0, done.stdout
    assert len(list(three.shared.glob("studies/quickstart/*/summary.json"))) == 1
