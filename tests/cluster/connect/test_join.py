"""Joining a real head that asks for a token."""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray

PROBE = """
import sys, time
from cluster.connect.probe import probe
started = time.monotonic()
try:
    print(probe(sys.argv[1]))
finally:
    print("took", time.monotonic() - started, file=sys.stderr)
"""
NODES = """
import logging, pathlib, sys, ray
from cluster.connect.probe import probe
from cluster.connect.preflight import check_cluster
ray.init(address=probe(sys.argv[1]), logging_level=logging.ERROR, log_to_driver=False)
from hbpr.errors import ClusterError
storage = pathlib.Path(sys.argv[2])
print(len(check_cluster(cpu=1, gpu=0, storage=storage)), "nodes,", *storage.iterdir())
try:
    check_cluster(cpu=2, gpu=1, storage=storage)
except ClusterError as error:
    print(error)
"""


def _run(program: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_token_opens_the_head(token_head) -> None:
    assert _run(PROBE, token_head.address, env=token_head.env).stdout.strip() == token_head.address


def test_a_wrong_token_and_the_dashboards_port_are_told_in_seconds(token_head, tmp_path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("c" * 64)
    env = token_head.env | {"RAY_AUTH_TOKEN_PATH": str(wrong)}
    refused = _run(PROBE, token_head.address, env=env)
    assert "does not hold the cluster's token" in refused.stderr
    assert _seconds(refused) < 20  # ray.init alone: 20 s
    dashboard = token_head.dashboard.removeprefix("http://")
    refused = _run(PROBE, dashboard, env=token_head.env)
    assert "does not answer as a Ray head" in refused.stderr
    assert _seconds(refused) < 60  # ray.init alone: more than two minutes


def _seconds(probed: subprocess.CompletedProcess[str]) -> float:
    """How long the probe alone took."""
    (took,) = re.findall(r"^took (\S+)$", probed.stderr, re.M)
    return float(took)


def test_nodes_and_resources_are_checked(token_head, tmp_path) -> None:
    storage = tmp_path / "new" / "studies"
    said = _run(NODES, token_head.address, str(storage), env=token_head.env)
    ours, trial = said.stdout.splitlines()
    assert ours == "1 nodes,"  # and the folder is as empty as before
    assert trial.startswith(
        "sweep.resources: one trial needs CPU 2, GPU 1, memory 230 MiB on one node"
    )
    assert "CPU 1, GPU 0" in trial
