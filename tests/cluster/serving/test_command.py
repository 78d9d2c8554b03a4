"""`hbpr serve`: what it refuses, and that its processes answer, reload and come back."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from cluster.serving.command import check_exposure, read_token, serve
from cluster.serving.supervisor import listen, url_of
from hbpr.cli.main import run
from hbpr.errors import ConfigError

from .conftest import TOKEN, serving


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
def test_it_answers_over_tls(study: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with serving(study, "--tls-cert", cert, "--tls-key", key) as (_, url, _):
        assert url.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(cert))
        assert httpx.get(f"{url}/recommend/1?k=2", verify=trusted).status_code == 200
