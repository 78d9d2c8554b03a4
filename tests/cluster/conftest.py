"""Real Ray clusters on this machine: loopback only, ports and folders of their own, ended by id."""

import os
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


@pytest.fixture(scope="session")
def token_head() -> Iterator[TokenHead]:
    """`ray start --head --block` with one CPU, its dashboard and token authentication."""
    folder = Path(tempfile.mkdtemp(prefix="hbpr-", dir="/tmp"))  # short: Ray's sockets lie in it
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    gcs, client, dashboard, agent, agent_grpc, metrics = _free_ports(6)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
    env |= {
        "PATH": f"{BIN}{os.pathsep}{env['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every socket on 127.0.0.1
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [BIN / "ray", "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=1"]
    command += [f"--port={gcs}", f"--ray-client-server-port={client}", f"--temp-dir={folder}/ray"]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += [f"--dashboard-agent-grpc-port={agent_grpc}", f"--metrics-export-port={metrics}"]
    command += ["--object-store-memory=157286400"]
    log = (folder / "head.log").open("wb")
    with log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as head:
        try:
            _wait_for(head, folder / "head.log", "Ray runtime started")
            yield TokenHead(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}", env)
        finally:
            head.send_signal(signal.SIGTERM)
            try:
                head.wait(30)
            except subprocess.TimeoutExpired:
                head.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], log: Path, text: str, timeout_s: int = 90) -> None:
    for _ in range(timeout_s * 5):
        if text in log.read_text():
            return
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the head did not start:\n{log.read_text()}")
