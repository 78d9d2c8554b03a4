"""A study, and its pre-flight, on a cluster of two nodes with one CPU each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[3]

#: Prints the node of each actor that the cluster has had.
ACTORS = """
import json, sys, ray
from ray._private.state import actors
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
print(json.dumps([[a["ActorClassName"], a["Address"]["NodeID"]] for a in actors().values()]))
"""
#: Runs where /proc/self/cwd is another folder than for the workers.
NOT_SHARED = """
import pathlib, sys, ray
from hbpr.errors import ClusterError
from cluster.connect.preflight import check_cluster
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
try:
    check_cluster(cpu=1, gpu=0, storage=pathlib.Path("/proc/self/cwd/studies"))
except ClusterError as error:
    print(error)
"""


def _python(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )


def test_trials_run_on_both_nodes(two_nodes, tmp_path: Path) -> None:
    sets = [
        "sweep.num_trials=6",
        "sweep.scheduler.kind=none",
        "training.n_iter=4",
        "data.synthetic.n_users=150",
        "data.synthetic.n_items=80",
        f"sweep.storage={tmp_path}/studies",
        f"mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db",
    ]
    options = [word for text in sets for word in ("--set", text)]
    config = REPO / "configs" / "quickstart.yaml"
    command = ["-m", "tune", str(config), "--address", two_nodes.address, *options]
    study = _python(*command, env=two_nodes.env, cwd=tmp_path)
    assert study.returncode == 0, study.stdout + study.stderr

    listed = _python("-c", ACTORS, two_nodes.address, env=two_nodes.env, cwd=tmp_path)
    actors = [
        (name, node) for name, node in json.loads(listed.stdout) if name.startswith("quickstart ")
    ]
    assert len({node for _, node in actors}) == 2, actors

    (summary,) = tmp_path.glob("studies/quickstart/*/summary.json")
    assert (summary.parent / "model").is_dir()


def test_a_storage_that_nodes_do_not_share_is_refused(two_nodes, tmp_path: Path) -> None:
    said = _python("-c", NOT_SHARED, two_nodes.address, env=two_nodes.env, cwd=tmp_path)
    assert said.stdout.startswith("2 of 2 nodes:"), said.stdout + said.stderr
    assert said.stdout.count("No such file or directory: /proc/self/cwd/studies/") == 2
    assert "sweep.storage must be one folder that every node shares" in said.stdout
    assert list((tmp_path / "studies").iterdir()) == []
