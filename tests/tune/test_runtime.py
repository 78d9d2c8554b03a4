import os
import socket
from pathlib import Path

import pytest

from hbpr.errors import ClusterError
from tune.runtime import Runtime, ray_runtime


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
    with (
        pytest.raises(ClusterError, match=r"did not start on this machine: .*timed out"),
        ray_runtime(None, cpus=1),
    ):
        pass


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
