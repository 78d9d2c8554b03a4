"""Real Ray clusters on this machine: loopback only, ports and folders of their own, ended by id."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
cluster = Cluster(True, head_node_args=node | {"include_dashboard": False})
cluster.add_node(**node)
cluster.wait_for_nodes()
print("cluster at", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@dataclass(frozen=True)
class TwoNodes:
    """A head and a worker with one CPU each, and the environment of a client."""

    address: str
    env: dict[str, str]


@dataclass(frozen=True)
class TokenHead:
    """A head that asks for a token, and the environment of a client that has it."""

    address: str
    dashboard: str
    env: dict[str, str]


def _free_ports(n: int) -> list[int]:
    # Above Ray's worker ports (10002 to 19999) and, where the system allows, below ephemeral ones.
    held = []
    for port in range(21000 + secrets.randbelow(9000), 32000):
        held.append(server := socket.socket())
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            held.pop().close()
        if len(held) == n:
            break
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


@pytest.fixture(scope="package")
def ray_folder() -> Iterator[Path]:
    """A folder with a short path, since Ray's sockets lie in it, and a token."""
    folder = Path(tempfile.mkdtemp(prefix="hbpr-", dir="/tmp"))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def ray_env(ray_folder: Path) -> dict[str, str]:
    """The environment of nodes and clients: a token, and every socket on 127.0.0.1."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
    return env | {
        "PATH": f"{BIN}{os.pathsep}{env['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(ray_folder / "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_TMPDIR": str(ray_folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture(scope="package")
def token_head(ray_folder: Path, ray_env: dict[str, str]) -> Iterator[TokenHead]:
    """`ray start --head --block` with one CPU and its dashboard."""
    gcs, client, dashboard, agent, agent_grpc, metrics = _free_ports(6)
    command = [BIN / "ray", "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=1"]
    command += [
        f"--port={gcs}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={ray_folder}/head",
    ]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += [f"--dashboard-agent-grpc-port={agent_grpc}", f"--metrics-export-port={metrics}"]
    command += ["--object-store-memory=157286400"]
    log_path = ray_folder / "head.log"
    log = log_path.open("wb")
    with log, subprocess.Popen(command, env=ray_env, stdout=log, stderr=log) as head:
        try:
            _wait_for(head, log_path, "Ray runtime started")
            yield TokenHead(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}", ray_env)
        finally:
            head.send_signal(signal.SIGTERM)
            try:
                head.wait(30)
            except subprocess.TimeoutExpired:
                head.kill()


@pytest.fixture(scope="package")
def two_nodes(ray_folder: Path, ray_env: dict[str, str]) -> Iterator[TwoNodes]:
    """Two nodes of one cluster on this machine, in a process of their own."""
    log_path = ray_folder / "two_nodes.log"
    (ray_folder / "ray").mkdir(exist_ok=True)  # Cluster writes its address there
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", TWO_NODES],
            env=ray_env,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        _wait_for(process, log_path, "cluster at ")
        address = re.search(r"cluster at (\S+)", log_path.read_text())
        assert address is not None
        yield TwoNodes(address[1], ray_env)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _wait_for(process: subprocess.Popen[bytes], log: Path, text: str, timeout_s: int = 240) -> None:
    for _ in range(timeout_s * 5):
        if text in log.read_text():
            return
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the head did not start:\n{log.read_text()}")
