"""Requests a second of the endpoint on loopback, the load generator beside it on the same machine.

Sides: ``hbpr serve`` with processes (``own``), the same in Ray Serve (``ray``), and a peer:
implicit's model behind FastAPI as people write it (a function that calls ``model.recommend`` and
returns a list), with as many uvicorn workers. On the first side: plain, then during reloads, then
with one process killed; memory of the processes at the start, in the middle and at the end.

    python tests/benchmarks/serve_load.py MODEL                 100,000 requests to hbpr serve
    python tests/benchmarks/serve_load.py MODEL --requests 2000 --sides own ray peer
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import http_load
import psutil
from environments import HERE, ROOT, python_of, why_missing
from harness import say

from hbpr.inference import load

_MAIN = "if __name__ == '__main__':\n from hbpr.cli.main import main; main()"


@contextlib.contextmanager
def started(command: list[str], pattern: str) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Run a server; yields it, its address, and the seconds until it said so."""
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        said = ""
        while not (found := re.search(pattern, said)):
            line = process.stderr.readline()
            if not line:
                raise SystemExit(f"the server did not start:\n{said}")
            said += line
        address = found[1] if found.groups() else found[0]
        _answers(address)
        drained = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield process, address, time.perf_counter() - begin
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            drained.terminate()


def _answers(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"{address} does not answer")


def memory_mib(parent: int) -> float:
    """Resident memory of all processes below one."""
    time.sleep(2)  # a model that was replaced is gone by then
    total = 0
    for process in [psutil.Process(parent), *psutil.Process(parent).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


def workers_of(parent: int) -> list[psutil.Process]:
    """The processes that answer."""
    found = []
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of a saved model")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--reloads", type=int, default=5)
    parser.add_argument("--sides", nargs="+", choices=("own", "ray", "peer"), default=["own"])
    parser.add_argument("--port", type=int, default=8765, help="of Ray Serve and of the peer")
    given = parser.parse_args()
    model = load(given.model)
    paths = [f"/recommend/{user}?k=10" for user in model.users.values[:5000]]
    say(
        f"{model.name}: {model.n_users:,} users, {model.n_items:,} items; {given.connections} kept "
        f"connections; load of the machine before: {os.getloadavg()[0]:.1f}"
    )
    if "own" in given.sides:
        _processes(given, paths)
    if "ray" in given.sides:
        _plain_side("Ray Serve", given, paths, [
            *(sys.executable, "-c", _MAIN, "serve", str(given.model), "--ray"),
            *("--port", str(given.port), "--replicas", str(given.workers)),
        ])  # fmt: skip
    if "peer" in given.sides:
        reason = why_missing("implicit")
        if reason is not None:
            say(f"implicit behind FastAPI: missing: {reason}")
        else:
            with tempfile.TemporaryDirectory() as folder:
                _peer_files(model, Path(folder))
                os.environ["PEER_FILES"] = folder
                _plain_side("implicit behind FastAPI", given, paths, [
                    str(python_of("implicit")), str(HERE / "sides" / "serve_implicit.py"),
                    str(given.port), str(given.workers),
                ])  # fmt: skip


def _processes(given: argparse.Namespace, paths: list[str]) -> None:
    """Processes under a parent: plain, during reloads, and with one killed."""
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "model"
        shutil.copytree(given.model, served)
        command = [sys.executable, "-c", _MAIN, "serve", str(served), "--port", "0"]
        command += ["--workers", str(given.workers)]
        with started(command, r"at (http://\S+)") as (server, address, ready_s):
            place = urlsplit(address)
            memory = [memory_mib(server.pid)]

            def measure(name: str, n: int, events: object = ()) -> http_load.Load:
                found = http_load.run(
                    place.hostname, place.port, paths,
                    n=n, connections=given.connections, events=events,
                )  # fmt: skip
                say(f"{name}: {found.text()}")
                return found

            say(f"hbpr serve, {given.workers} workers: ready after {ready_s:.1f} s")
            warm = measure("  warming up", max(200, given.requests // 20))
            memory.append(memory_mib(server.pid))
            measure("  plain", given.requests)
            memory.append(memory_mib(server.pid))
            long_s = given.requests / max(1.0, len(warm.seconds) / warm.wall_s)
            every = long_s / (given.reloads + 1)
            reloads = [
                (every * (i + 1), lambda i=i: _new_model(served, server, i))
                for i in range(given.reloads)
            ]
            measure(f"  during {given.reloads} reloads", given.requests, reloads)
            memory.append(memory_mib(server.pid))
            killed: dict[str, float] = {}
            kill = [(0.3 * long_s, lambda: _kill_one(server, killed))]
            measure("  with one process killed", given.requests, kill)
            say(f"    another process after {killed.get('back_s', float('nan')):.1f} s")
            memory.append(memory_mib(server.pid))
            say("  memory of all processes, MiB: " + ", ".join(f"{each:.0f}" for each in memory))


def _new_model(served: Path, server: "subprocess.Popen[str]", number: int) -> None:
    """Change the version, not the weights: a metric of another value."""
    from hbpr.inference.folder import read_about, write_about

    write_about(served, read_about(served) | {"metrics": {"reload": float(number)}})
    server.send_signal(signal.SIGHUP)


def _kill_one(server: "subprocess.Popen[str]", found: dict[str, float]) -> None:
    before = {process.pid for process in workers_of(server.pid)}
    os.kill(min(before), signal.SIGKILL)
    begin = time.perf_counter()
    while time.perf_counter() - begin < 60:
        fresh = [each for each in workers_of(server.pid) if each.pid not in before]
        if fresh and any(c.status == psutil.CONN_ESTABLISHED for c in fresh[0].net_connections()):
            break  # it answers one of the connections
        time.sleep(0.02)
    found["back_s"] = time.perf_counter() - begin


def _plain_side(name: str, given: argparse.Namespace, paths: list[str], command: list[str]) -> None:
    with started(command, rf"(http://127\.0\.0\.1:{given.port})") as (server, _, ready_s):
        say(f"{name}, {given.workers} processes: ready after {ready_s:.1f} s")
        for part, n in (("warming up", max(200, given.requests // 20)), ("plain", given.requests)):
            found = http_load.run(
                "127.0.0.1", given.port, paths, n=n, connections=given.connections
            )
            say(f"  {part}: {found.text()}")
        say(f"  memory of all processes, MiB: {memory_mib(server.pid):.0f}")


def _peer_files(model: "object", folder: Path) -> None:
    """The same vectors and seen items for the peer."""
    import numpy as np

    np.savez(
        folder / "model.npz",
        users=model.form.users,
        items=model.form.items,
        indptr=model.met.indptr,
        indices=model.met.items,
    )
    (folder / "ids.json").write_text(json.dumps([model.users.values, model.items.values]))


if __name__ == "__main__":
    main()
