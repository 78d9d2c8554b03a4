"""A Ray head played by a small gRPC server: what `probe` asks, and what it says of each answer."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import ray
from ray._private import ray_constants, services
from ray._raylet import AuthenticationTokenLoader, Config
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from cluster.connect.probe import probe
from hbpr.errors import ClusterError

TOKEN = "a" * 64
OURS = {"ray_version": ray.__version__, "python_version": ".".join(map(str, sys.version_info[:3]))}


class _Head(gcs_service_pb2_grpc.InternalKVGcsServiceServicer):
    def __init__(self, metadata: dict[str, str], token: str | None) -> None:
        self.metadata, self.token = metadata, token

    def InternalKVGet(self, request, context):
        shown = dict(context.invocation_metadata()).get("authorization")
        if self.token is not None and shown != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        assert (request.key, request.namespace) == (b"CLUSTER_METADATA", b"cluster")
        return gcs_service_pb2.InternalKVGetReply(value=json.dumps(self.metadata).encode())


@contextmanager
def head(metadata: dict[str, str] = OURS, token: str | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    gcs_service_pb2_grpc.add_InternalKVGcsServiceServicer_to_server(_Head(metadata, token), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture(autouse=True)
def auth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator:
    """Set the account's token settings; Ray reads them once, so it is told to read again."""

    def set_auth(**values: str) -> None:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            if name in values:
                monkeypatch.setenv(name, values[name])
            else:
                monkeypatch.delenv(name, raising=False)
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)  # loopback stays loopback
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    set_auth(RAY_AUTH_MODE="disabled")
    yield set_auth
    monkeypatch.undo()
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def test_a_head_with_our_versions_is_accepted() -> None:
    with head() as address:
        assert probe(address) == address


def test_auto_takes_the_exported_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with head() as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert probe("auto") == address


def test_another_patch_of_python_is_accepted() -> None:
    minor = ".".join(map(str, sys.version_info[:2]))
    with head(OURS | {"python_version": f"{minor}.99"}) as address:
        probe(address)


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({"ray_version": "2.9.1"}, "Ray 2.9.1"),
        ({"python_version": "3.8.2"}, "Python 3.8.2"),
    ],
)
def test_other_versions_are_named_on_both_sides(theirs: dict[str, str], named: str) -> None:
    with head(OURS | theirs) as address, pytest.raises(ClusterError) as caught:
        probe(address)
    assert named in str(caught.value)
    assert f"this program Ray {ray.__version__}" in str(caught.value)


def test_the_token_is_shown(auth, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    auth(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(path))
    with head(token=TOKEN) as address:
        probe(address)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE is 'disabled'"),
        ({"RAY_AUTH_MODE": "token"}, "auth_token does not exist"),
        ({}, "auth_token does not exist"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "b" * 64}, "in RAY_AUTH_TOKEN is not"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere/t"}, "is not a file"),
    ],
)
def test_a_refused_token_says_which_was_shown_but_not_its_text(
    auth, settings: dict[str, str], reason: str
) -> None:
    auth(**settings)
    with head(token=TOKEN) as address, pytest.raises(ClusterError, match=reason) as caught:
        probe(address)
    assert "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=FILE" in str(caught.value)
    assert "bbbb" not in str(caught.value)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ClusterError, match="nothing answers at"):
        probe(f"127.0.0.1:{port}")


def test_a_head_on_loopback_alone_says_what_to_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "resolve_ip_for_localhost", lambda host: "127.0.0.9")
    with head() as address, pytest.raises(ClusterError, match="nothing answers") as caught:
        probe(address)
    assert "export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0" in str(caught.value)


def test_something_else_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(ClusterError, match="does not answer as a Ray head"):
            probe(f"127.0.0.1:{port}", timeout_s=2.0)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("http://10.0.0.5:8265", "ray job submit"),
        ("ray://10.0.0.5:10001", "not through a Ray client"),
        ("headnode", "For example 10.0.0.5:6379"),
        ("10.0.0.5:99999", "For example"),
        ("", "For example"),
    ],
)
def test_other_forms_of_an_address_get_the_one_to_use(address: str, hint: str) -> None:
    with pytest.raises(ClusterError, match="expected HOST:PORT") as caught:
        probe(address)
    assert hint in str(caught.value)


def _free() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_a_dead_address_is_named_with_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _free()
    with pytest.raises(ClusterError, match=rf"^--address {dead}: nothing answers at {dead}"):
        probe(dead)
    with pytest.raises(ClusterError, match=rf"^RAY_ADDRESS={dead}: .*unset it to start"):
        probe(dead, origin="RAY_ADDRESS")
    monkeypatch.setenv("RAY_ADDRESS", dead)
    with pytest.raises(ClusterError, match=rf"^--address auto \(RAY_ADDRESS={dead}\): .*unset"):
        probe("auto")


def test_a_stale_address_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dead, file = _free(), tmp_path / "ray" / "ray_current_cluster"
    file.parent.mkdir()
    file.write_text(dead)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(services, "find_gcs_addresses", lambda *_: set())
    with pytest.raises(ClusterError) as caught:
        probe("auto")
    assert f"--address auto (address file {file}: {dead}): nothing answers" in str(caught.value)
    assert "remove it, or give HOST:PORT" in str(caught.value)
