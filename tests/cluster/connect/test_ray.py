import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.connect.ray import Runtime, _start, _Wanted, ray_runtime
from hbpr.errors import ClusterError


def test_one_trial_lies_on_one_node() -> None:
    runtime = Runtime(7.0, 2.0, ((3.0, 0.0), (4.0, 2.0)), private=False)
    assert [runtime.slots(cpu, gpu) for cpu, gpu in ((1, 0), (2, 0), (4, 0), (5, 0))] == [
        7,
        3,
        1,
        0,
    ]
    assert [runtime.slots(1, gpu) for gpu in (0.5, 1.0, 2.0)] == [4, 2, 1]


def test_a_private_ray_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def too_long(**_: object) -> None:
        raise Exception("The current node timed out during startup.")  # as Ray does

    monkeypatch.setattr(ray, "init", too_long)
    said: list[str] = []
    with (
        pytest.raises(ClusterError, match=r"did not start on this machine, .*timed out") as error,
        ray_runtime(None, cpus=1, announce=said.append),
    ):
        pass
    assert re.search(r"Load of the last minute: \d.* on \d+ CPUs; free memory", str(error.value))
    assert "--address HOST:PORT" in str(error.value)
    assert said == ["starting Ray on this machine"]


def test_a_start_that_failed_is_tried_again_without_its_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import ray

    started = []

    def slow_at_first(**_: object) -> None:
        started.append(subprocess.Popen(["sleep", "60"]))
        started.append(
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(tmp_path)])
        )
        until = time.monotonic() + 30
        while str(tmp_path) not in Path(f"/proc/{started[-1].pid}/cmdline").read_text():
            assert time.monotonic() < until  # it is not what it will be before it has begun
        if len(started) == 2:
            raise Exception("The current node timed out during startup.")  # as Ray does

    monkeypatch.setattr(ray, "init", slow_at_first)
    try:
        _start(str(tmp_path), _Wanted(1, 0, dashboard=False, job=None))
        assert "did not start" in caplog.text
        other, own, _, second = started
        assert own.wait(timeout=60) != 0
        assert (other.poll(), second.poll()) == (None, None)
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_request_to_end_stays_the_studys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ray

    def takes_the_signal(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as Ray does

    monkeypatch.setattr(ray, "init", takes_the_signal)
    before = signal.signal(signal.SIGTERM, ours := lambda *_: None)
    try:
        _start(str(tmp_path), _Wanted(1, 0, dashboard=False, job=None))
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("by", ["argument", "RAY_ADDRESS"])
def test_no_cluster_at_the_address(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    if by == "RAY_ADDRESS":
        monkeypatch.setenv("RAY_ADDRESS", address)
    with (
        pytest.raises(ClusterError, match=address),
        ray_runtime(address if by == "argument" else None),
    ):
        pytest.fail("joined")


@pytest.mark.ray
def test_a_private_ray_keeps_to_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    before = _exported()
    with ray_runtime(cpus=1) as runtime:
        import ray

        assert (runtime.cpus, runtime.private) == (1.0, True)
        assert os.environ["RAY_AUTH_MODE"] == "token"
        folder = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent
        assert folder.stat().st_mode & 0o077 == 0
        here = ray.get(ray.remote(_listening).remote())
        assert here
        assert [address for address in here if not address.startswith(("127.", "[::1]"))] == []
        with ray_runtime() as same:
            assert not same.private
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert not folder.exists()
    assert _exported() == before
    assert list(tmp_path.iterdir()) == []


def _exported() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(("RAY", "TUNE"))}


def _listening() -> list[str]:
    """Addresses on which the processes of this worker's Ray listen."""
    import psutil  # Ray's own copy

    raylet = psutil.Process().parent()
    driver = raylet.parent()
    return [
        socket_.laddr.ip.removeprefix("::ffff:")
        for process in [raylet, *driver.children(), *raylet.children()]
        for socket_ in process.net_connections()
        if socket_.status == psutil.CONN_LISTEN
    ]


JOIN_WHILE_RAY_IS_IMPORTED = """
import threading
from cluster.connect.ray import ray_runtime
from hbpr.errors import ClusterError
failed = []
def other():
    try:
        import ray.tune
    except Exception as error:
        failed.append(repr(error))
thread = threading.Thread(target=other)
thread.start()
try:
    with ray_runtime("127.0.0.1:1"):
        pass
except ClusterError as error:
    print(error)
thread.join()
print("failed:", failed)
"""


def test_a_cluster_is_joined_while_another_thread_imports_ray() -> None:
    words = [sys.executable, "-c", JOIN_WHILE_RAY_IS_IMPORTED]
    told = subprocess.run(
        words, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    ).stdout
    assert "nothing answers at" in told
    assert "failed: []" in told
