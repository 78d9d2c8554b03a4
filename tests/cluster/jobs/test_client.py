"""What a user reads of jobs, with a small server as the cluster's dashboard."""

import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray._raylet import AuthenticationTokenLoader, Config

import hbpr
from cluster.jobs.client import (
    EXPERIMENT,
    FOLDER,
    HEADS_HOME,
    STUDY,
    again,
    connect,
    exit_code,
    studies,
)
from cluster.jobs.upload import CONFIG, PACKAGES, package
from hbpr.errors import ClusterError


@contextmanager
def _server(status: int, body: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    yield
    monkeypatch.undo()
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:6379", "ray://h:10001", "http://u:p@h:8265", "auto"]
)
def test_an_address_of_another_kind(address: str) -> None:
    with pytest.raises(ClusterError, match="expected the dashboard of a cluster's head"):
        connect(address)


def test_nothing_answers() -> None:
    with _server(200, "") as address:
        pass
    with pytest.raises(ClusterError, match=rf"{address}: nothing answers there"):
        connect(address)


@pytest.mark.parametrize(
    ("status", "body"), [(404, "no"), (200, "<html>"), (200, "[]"), (200, "{}")]
)
def test_something_else_answers(status: int, body: str) -> None:
    with _server(status, body) as address, pytest.raises(ClusterError, match="not Ray's dashboard"):
        connect(address)


def test_a_token_is_missing() -> None:
    with _server(401, "") as address, pytest.raises(ClusterError) as error:
        connect(address)
    assert "asks for a token: RAY_AUTH_MODE is 'disabled'" in str(error.value)
    assert "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=FILE" in str(error.value)


def _job(name: str, status: str, **more: object) -> SimpleNamespace:
    return SimpleNamespace(
        submission_id=name,
        status=status,
        start_time=int(str(more.pop("at", 0))),
        entrypoint="python -m tune study.yaml --resume-or-start s",
        runtime_env={"working_dir": "gcs://x.zip"},
        metadata=more.pop("metadata", {EXPERIMENT: "e", STUDY: "s", FOLDER: "/s/e/s 1"}),
        driver_exit_code=more.pop("code", None),
    )


class _Client:
    def __init__(self, *jobs: SimpleNamespace) -> None:
        self.jobs = list(jobs)
        self.submitted: list[dict] = []

    def list_jobs(self) -> list[SimpleNamespace]:
        return self.jobs

    def get_job_info(self, name: str) -> SimpleNamespace:
        for job in self.jobs:
            if job.submission_id == name:
                return job
        raise RuntimeError("404")

    def submit_job(self, **job: object) -> str:
        self.submitted.append(job)
        self.jobs.append(_job(str(job["submission_id"]), "STOPPED"))
        return str(job["submission_id"])


def test_jobs_of_others_are_not_listed() -> None:
    client = _Client(
        _job("b", "RUNNING", at=2), _job("x", "RUNNING", metadata=None), _job("a", "FAILED", at=1)
    )
    assert [job.submission_id for job in studies(client)] == ["a", "b"]


def test_a_job_is_started_again_as_it_was() -> None:
    client = _Client(_job("e-s", "STOPPED"))
    assert again(client, "e-s") == "e-s-again-1"
    assert again(client, "e-s-again-1") == "e-s-again-2"
    (first, _) = client.submitted
    assert first["entrypoint"] == "python -m hbpr study resume '/s/e/s 1' --no-progress"
    assert first["metadata"] == {EXPERIMENT: "e", STUDY: "s", FOLDER: "/s/e/s 1"}


def test_a_study_on_the_heads_disk_is_found_by_the_shell_of_the_head() -> None:
    about = {EXPERIMENT: "e", STUDY: "s", FOLDER: f"{HEADS_HOME}/hbpr/studies/e/s"}
    client = _Client(_job("e-s", "FAILED", metadata=about))
    again(client, "e-s")
    command = client.submitted[0]["entrypoint"].replace("python -m hbpr", "echo")
    told = subprocess.run(
        command,
        shell=True,
        env={"HOME": "/home/my ray"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "study resume /home/my ray/.local/share/hbpr/studies/e/s --no-progress\n"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (_job("j", "RUNNING"), "only a job that has ended"),
        (_job("j", "SUCCEEDED"), "has come to its result"),
        (_job("j", "FAILED", metadata={}), "hbpr submit did not make it"),
        (_job("other", "FAILED"), "knows no such job; it has other"),
    ],
)
def test_a_job_that_cannot_be_started_again(job: SimpleNamespace, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        again(_Client(job), "j")


def test_exit_codes() -> None:
    jobs = [
        _job("j", "SUCCEEDED"),
        _job("j", "FAILED", code=2),
        _job("j", "FAILED"),
        _job("j", "STOPPED", code=-15),
    ]
    assert [exit_code(job) for job in jobs] == [0, 2, 1, 130]


def test_what_is_uploaded_is_small_and_complete(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("sweep: {}\n")
    with package(config) as file:
        assert file.stat().st_size < 2**20
        archive = zipfile.ZipFile(file)
        assert archive.read(CONFIG) == b"sweep: {}\n"
        names = archive.namelist()
    assert not file.exists()
    assert {*PACKAGES, CONFIG} <= {name.split("/")[0] for name in names}  # this is a checkout
    assert not [name for name in names if "__pycache__" in name]
    assert "cluster/manifests/templates/slurm.sh.j2" in names


def test_an_installation_sends_its_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hbpr, "__file__", str(tmp_path / "site-packages" / "hbpr" / "__init__.py"))
    config = tmp_path / "mine.yaml"
    config.write_text("{}")
    with package(config) as file:
        assert zipfile.ZipFile(file).namelist() == ["hbpr-job.txt", CONFIG]
