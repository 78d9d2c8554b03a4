"""Real Ray clusters on this machine: loopback only, ports and folders of their own, ended by id."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .hosts import Hosts, network, why_not

BIN = Path(sys.executable).parent
REPO = Path(__file__).parents[2]


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
    with _head(ray_folder, ray_env, "head", "--num-cpus=1") as head:
        yield head


@pytest.fixture(scope="module")
def head_with(ray_folder: Path, ray_env: dict[str, str]) -> Callable[..., Any]:
    """Starts such a head, by name, with more in its environment."""

    def start(name: str, env: Mapping[str, str]) -> Any:
        return _head(ray_folder, ray_env | dict(env), name, "--num-cpus=1")

    return start


@pytest.fixture
def autoscaling_head(ray_folder: Path, ray_env: dict[str, str]) -> Iterator[TokenHead]:
    """A head without a CPU, whose autoscaler may bring two nodes of one CPU each.

    As Ray's `AutoscalingCluster`, whose `start` would end every Ray of this machine.
    """
    (port,) = _free_ports(1)
    kinds = {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    }
    settings = {
        "cluster_name": "fake",
        "max_workers": 2,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"127.0.0.1:{port}",
            "disable_launch_config_check": True,
            "disable_node_updaters": True,
        },
        "available_node_types": kinds,
        "head_node_type": "ray.head.default",
        "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0,
        "auth": {},
        "docker": {},
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
    }
    config = ray_folder / "autoscaling.json"
    config.write_text(json.dumps(settings))
    env = ray_env | {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    options = ["--num-cpus=0", f"--autoscaling-config={config}"]
    with _head(ray_folder, env, "auto", *options, port=port) as head:
        yield head


@contextmanager
def _head(
    folder: Path, env: dict[str, str], name: str, *options: str, port: int | None = None
) -> Iterator[TokenHead]:
    gcs, client, dashboard, agent, agent_grpc, metrics = _free_ports(6)
    gcs = port or gcs
    command = [BIN / "ray", "start", "--head", "--block", "--disable-usage-stats", *options]
    command += [
        f"--port={gcs}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder}/{name}",
    ]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += [f"--dashboard-agent-grpc-port={agent_grpc}", f"--metrics-export-port={metrics}"]
    command += ["--object-store-memory=157286400"]
    log_path = folder / f"{name}.log"
    log = log_path.open("wb")
    with log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as head:
        try:
            _wait_for(head, log_path, "Ray runtime started")
            yield TokenHead(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}", env)
        finally:
            below = _below(head.pid)
            head.send_signal(signal.SIGTERM)
            try:
                head.wait(30)
            except subprocess.TimeoutExpired:
                head.kill()
            for process in below:  # nodes that the autoscaler started outlive it
                with suppress(Exception):
                    process.kill()


def _below(pid: int) -> list[Any]:
    """The processes that a process has started, and those that they have."""
    import psutil
    import ray  # noqa: F401  # brings its own psutil

    return psutil.Process(pid).children(recursive=True)


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


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A network for hosts of their own, with a token; it begins without any."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
    env |= {
        "PATH": f"{BIN}{os.pathsep}{env['PATH']}",
        "PYTHONPATH": str(REPO),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "5",  # nodes start, and are noticed, beside trials
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    try:
        with network(folder, env) as net:
            yield net
    finally:
        shutil.rmtree(folder, ignore_errors=True)
