"""`hbpr serve`: what it refuses, and that its processes answer, reload and come back."""

import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.serving.command import check_exposure, read_token, serve
from cluster.serving.supervisor import listen, url_of
from hbpr.cli.main import run
from hbpr.errors import ConfigError

from .conftest import make_system

TOKEN = "a-long-enough-token"
PROGRAM = "if __name__ == '__main__':\n from hbpr.cli.main import main; main()"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with its model."""
    make_system().save(tmp_path / "study" / "model")
    (tmp_path / "study" / "journal.log").touch()
    return tmp_path / "study"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tmp_path / "cert.pem", tmp_path / "key.pem"


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Run `hbpr serve`; yields the process, its address and the lines that it writes."""
    command = [sys.executable, "-c", PROGRAM, "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
        try:
            while True:
                line = process.stderr.readline()
                assert line, "\n".join(lines)
                lines.append(line)
                if found := re.search(r"https?://\S+", line):
                    break
            reader.start()
            yield process, found[0], lines
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
        reader.join(10)
        assert "Traceback" not in "".join(lines)


def test_a_missing_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(serve, [str(tmp_path / "none"), "--port", "0"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_taken_port_is_told_at_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(listen("127.0.0.1", 0, 1)[0]) as taken:
        port = taken.getsockname()[1]
        assert run(serve, [str(study), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert "--port" in said


def test_listening_sockets_share_a_port_and_name_their_protocol() -> None:
    # asyncio sets TCP_NODELAY only then; without it an answer takes 40 ms longer.
    listeners = listen("127.0.0.1", 0, 3)
    try:
        assert {each.proto for each in listeners} == {socket.IPPROTO_TCP}
        assert len({each.getsockname() for each in listeners}) == 1
        assert url_of(listeners[0], tls=True).startswith("https://127.0.0.1:")
    finally:
        for each in listeners:
            each.close()


@pytest.mark.parametrize("content", ["", "short", "spaces in between here", "ä" * 20])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(ConfigError, match="--token-file"):
        read_token(tmp_path / "token")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path / "none")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN


def test_beyond_this_machine_takes_token_and_tls() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_exposure(host, has_token=False, has_tls=False, insecure=False)
    for token, tls, missing in (
        (False, False, "--token-file and --tls-cert"),
        (True, False, "takes --tls-cert"),
        (False, True, "takes --token-file as well"),
    ):
        with pytest.raises(ConfigError, match=missing):
            check_exposure("0.0.0.0", has_token=token, has_tls=tls, insecure=False)
        check_exposure("0.0.0.0", has_token=token, has_tls=tls, insecure=True)
    check_exposure("example.org", has_token=True, has_tls=True, insecure=False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines"),
        (["--tls-cert", "cert.pem"], "belong together"),
        (["--tls-cert", "none.pem", "--tls-key", "none.pem"], "cannot be used"),
        (["--token-file", "none"], "cannot be read"),
        (["--replicas", "2"], "add --ray"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_options_that_do_not_fit_are_told(
    study: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(serve, [str(study), *options]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted(study: Path) -> None:
    with serving(study) as (_, url, _):
        answer = httpx.get(f"{url}/recommend/1?k=2", timeout=20)
        assert answer.json()["user"] == 1


@pytest.mark.slow
def test_a_new_model_is_taken_and_a_dead_process_replaced(study: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    arguments = (study, "--workers", 2, "--token-file", tmp_path / "token")
    with serving(*arguments) as (process, url, _):
        first = httpx.get(f"{url}/ready").json()["model"]
        make_system(seed=1).save(study / "model")
        answer = httpx.post(f"{url}/reload", headers=headers, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["model"] != first
        _eventually(url, lambda versions: versions == {answer.json()["model"]})

        make_system(seed=2).save(study / "model")
        process.send_signal(signal.SIGHUP)
        _eventually(url, lambda versions: versions.isdisjoint({first, answer.json()["model"]}))

        shutil.rmtree(study / "model")
        refused = httpx.post(f"{url}/reload", headers=headers, timeout=60)
        assert refused.status_code == 409
        assert "no model yet" in refused.json()["detail"]
        assert httpx.get(f"{url}/recommend/1", headers=headers).status_code == 200

        before = _workers(process.pid)
        os.kill(next(iter(before)), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(_workers(process.pid) - before) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(8):
            assert httpx.get(f"{url}/ready", timeout=60).status_code == 200
        text = httpx.get(f"{url}/metrics", headers=headers).text
        assert re.search(r'hbpr_requests_total{.*"/ready",status="200"} \d', text)


@pytest.mark.slow
def test_it_answers_over_tls(study: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with serving(study, "--tls-cert", cert, "--tls-key", key) as (_, url, _):
        assert url.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(cert))
        assert httpx.get(f"{url}/recommend/1?k=2", verify=trusted).status_code == 200


def _workers(parent: int) -> set[int]:
    import psutil

    found = set()
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if any("spawn_main" in word for word in child.cmdline()):
                found.add(child.pid)
    return found


def _eventually(url: str, reached: Any) -> None:
    """Wait until the models of several connections, so of all processes, are as they should be."""
    deadline = time.monotonic() + 60
    while True:
        versions = {httpx.get(f"{url}/ready").json()["model"] for _ in range(12)}
        if reached(versions):
            return
        assert time.monotonic() < deadline, versions
        time.sleep(0.1)
