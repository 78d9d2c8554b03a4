"""Nodes that come and go while a study runs: they are given trials, and none is lost."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[2]

#: A head with one CPU; each line on stdin does something to the cluster.
CLUSTER = """
import sys, time
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
cluster = Cluster(True, head_node_args=node | {"include_dashboard": False})
print("cluster at", cluster.address, flush=True)
nodes = []
for line in sys.stdin:
    if line == "add\\n":
        nodes.append(cluster.add_node(**node))
        print("added", nodes[-1].node_id, time.time(), flush=True)
    if line == "kill\\n":
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("killed", time.time(), flush=True)
cluster.shutdown()
"""
#: The nodes on which trials ran, and the names of their actors and tasks.
STATE = """
import json, sys, ray
from ray._private.state import actors
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
print(json.dumps([
    [a["ActorClassName"], a["Address"]["NodeID"], a["StartTime"] / 1000, a["State"]]
    for a in actors().values()
]))
"""


def _study(address: str, env: dict[str, str], folder: Path, *sets: str) -> subprocess.Popen[str]:
    options = [
        "sweep.scheduler.kind=none",
        "sweep.search.algorithm=random",
        "data.synthetic.n_users=200",
        f"sweep.storage={folder}/studies",
        f"mlflow.tracking_uri=sqlite:///{folder}/mlflow.db",
        *sets,
    ]
    words = [word for text in options for word in ("--set", text)]
    config = str(REPO / "configs" / "quickstart.yaml")
    return subprocess.Popen(
        [sys.executable, "-m", "hbpr", "tune", config, "--address", address, *words],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(found, process: subprocess.Popen[str], timeout_s: float = 300.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if (result := found()) or process.poll() is not None:
            return result
        time.sleep(2)
    pytest.fail("it did not happen in time")


def _journal(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("studies/quickstart/*/journal.log"))


@contextmanager
def _cluster(env: dict[str, str], ray_folder: Path) -> Iterator[tuple[str, Callable]]:
    """A cluster that grows and shrinks by words: its address, and what says one to it."""
    (ray_folder / "ray").mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as cluster:

        def say(word: str) -> list[str]:
            cluster.stdin.write(f"{word}\n")
            cluster.stdin.flush()
            return cluster.stdout.readline().split()

        try:
            yield cluster.stdout.readline().split()[-1], say
        finally:
            cluster.stdin.close()
            cluster.wait(60)


def test_a_node_that_joins_in_the_middle_is_given_trials_and_may_go_again(
    ray_env: dict[str, str], ray_folder: Path, tmp_path: Path
) -> None:
    env = ray_env | {"OMP_NUM_THREADS": "1"}
    with _cluster(env, ray_folder) as (address, say):
        study = _study(address, env, tmp_path, "sweep.num_trials=14", "training.n_iter=100")
        _wait_for(lambda: "intermediate" in _journal(tmp_path), study)
        _, node, _ = say("add")
        actors = _wait_for(lambda: _trials_on(node, address, env), study)
        assert actors, study.communicate()[0]
        experiment, study_id = actors[0][0].split()
        assert experiment == "quickstart"
        assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", study_id)
        say("kill")
        said, _ = study.communicate(timeout=600)
        assert study.returncode == 0, said
    (summary,) = tmp_path.glob("studies/quickstart/*/summary.json")
    trials = json.loads(summary.read_text())["trials"]
    assert sorted(trial["number"] for trial in trials) == list(range(14))
    assert {trial["state"] for trial in trials} == {"COMPLETE"}


def test_a_drained_node_is_given_no_more_trials_and_goes(
    ray_env: dict[str, str], ray_folder: Path, tmp_path: Path
) -> None:
    env = ray_env | {"OMP_NUM_THREADS": "1"}
    with _cluster(env, ray_folder) as (address, say):
        _, node, _ = say("add")
        study = _study(address, env, tmp_path, "sweep.num_trials=30", "training.n_iter=100")
        assert _wait_for(lambda: _trials_on(node, address, env), study)
        drain = ["ray", "drain-node", f"--address={address}", f"--node-id={node}"]
        drain += ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=going"]
        subprocess.run([*drain, "--deadline-remaining-seconds=3600"], env=env, check=True)

        def is_left() -> bool:
            return all(each[3] == "DEAD" for each in _trials_on(node, address, env))

        _wait_for(is_left, study)
        assert study.poll() is None, "it had trials to the end"
        said, _ = study.communicate(timeout=600)
        assert study.returncode == 0, said
    (summary,) = tmp_path.glob("studies/quickstart/*/summary.json")
    trials = json.loads(summary.read_text())["trials"]
    assert {trial["state"] for trial in trials} == {"COMPLETE"}


def _trials_on(node: str, address: str, env: dict[str, str]) -> list:
    """The actors of trials that have run on a node."""
    return [each for each in _actors(address, env) if each[1] == node and each[2] > 0]


def _actors(address: str, env: dict[str, str]) -> list:
    listed = subprocess.run(
        [sys.executable, "-c", STATE, address],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(listed.stdout)


def test_a_cluster_without_workers_is_given_them_by_trials_that_wait(
    autoscaling_head, tmp_path: Path
) -> None:
    study = _study(
        autoscaling_head.address,
        autoscaling_head.env | {"OMP_NUM_THREADS": "1"},
        tmp_path,
        "sweep.num_trials=6",
        "sweep.max_concurrent=2",
        "training.n_iter=400",  # so long that the second node comes before the last trial
        "training.early_stopping_patience=0",
    )
    said, _ = study.communicate(timeout=600)
    assert study.returncode == 0, said
    nodes = {
        node
        for _, node, started, _ in _actors(autoscaling_head.address, autoscaling_head.env)
        if started > 0
    }
    assert len(nodes) == 2
    (summary,) = tmp_path.glob("studies/quickstart/*/summary.json")
    assert len(json.loads(summary.read_text())["trials"]) == 6
