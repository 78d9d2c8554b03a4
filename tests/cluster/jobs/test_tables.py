"""Tables on their way to a cluster: one copy of the same content, read as before."""

import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.jobs.tables import FOLDER, head_lacks, upload
from hbpr.data import load_table
from hbpr.errors import ClusterError, ConfigError, DatasetMissingError
from hbpr.settings.models import TableSettings

CSV = "user,item\nann,1\nann,2\nbob,3\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    for day, text in (("1", CSV), ("2", "user,item\ncat,4\n")):
        (folder / "logs" / f"day={day}").mkdir(parents=True)
        (folder / "logs" / f"day={day}" / "a.csv").write_text(text)
    (folder / "clicks.csv").write_text(CSV)
    return folder


def _same(one: str, other: str, **more: object) -> bool:
    prints = [
        load_table(TableSettings(path=path, **more)).to_interactions().fingerprint
        for path in (one, other)
    ]
    return prints[0] == prints[1]


def test_a_file_is_copied_once_for_the_same_content(here: Path, tmp_path: Path) -> None:
    storage = tmp_path / "shared" / "studies"
    storage.parent.mkdir()
    done = upload(str(here / "clicks.csv"), str(storage))
    assert not done.was_there
    assert done.n_bytes == len(CSV)
    assert done.path.startswith(f"{storage}/{FOLDER}/")
    assert _same(str(here / "clicks.csv"), done.path)
    before = Path(done.path).stat().st_mtime_ns
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "clicks.csv").write_text(CSV)
    again = upload(str(here / "elsewhere" / "clicks.csv"), str(storage))
    assert again == done._replace(was_there=True)
    assert Path(done.path).stat().st_mtime_ns == before
    (here / "clicks.csv").write_text(CSV + "cat,4\n")
    assert upload(str(here / "clicks.csv"), str(storage)).path != done.path


def test_a_copy_that_was_broken_off_is_made_again(here: Path, tmp_path: Path) -> None:
    done = upload(str(here / "clicks.csv"), str(tmp_path))
    (Path(done.path).parent / ".whole").unlink()
    Path(done.path).write_text("user,it")
    assert upload(str(here / "clicks.csv"), str(tmp_path)) == done
    assert Path(done.path).read_text() == CSV


@pytest.mark.parametrize("path", ["logs", "logs/*/*.csv", "logs/day=1"])
def test_folders_and_patterns_keep_their_keys_and_their_order(
    here: Path, tmp_path: Path, path: str
) -> None:
    done = upload(f"{here}/{path}", str(tmp_path))
    more = {} if path == "logs/day=1" else {"event": "day", "positive_events": [1]}
    assert _same(f"{here}/{path}", done.path, **more)
    names = sorted(each.name for each in Path(done.path).rglob("*.csv"))
    assert names == ["a.csv"] * len(names)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket of an S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "writer")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    from pyarrow import fs

    fs.S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
    ).create_dir("lab")
    yield "s3://lab/studies"
    server.stop()


def test_an_object_store_takes_them_too(here: Path, bucket: str) -> None:
    done = upload(f"{here}/logs", bucket)
    assert done.path.startswith(f"{bucket}/{FOLDER}/")
    assert _same(f"{here}/logs", done.path, event="day", positive_events=[1])
    assert upload(f"{here}/logs", bucket) == done._replace(was_there=True)
    alone = upload(str(here / "clicks.csv"), bucket)
    assert _same(str(here / "clicks.csv"), alone.path)
    with pytest.raises(ConfigError, match=r"sweep\.storage cannot be written: s3://none"):
        upload(str(here / "clicks.csv"), "s3://none/studies")


def test_what_cannot_be_copied(here: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match="no such file"):
        upload(str(here / "none.csv"), str(tmp_path))
    with pytest.raises(ConfigError, match="is not a folder of this machine"):
        upload(str(here / "clicks.csv"), "/no/such/place/studies")


class _Head:
    """Runs a job's command on this machine, as a head does on its own."""

    def __init__(self, log: str | None = None) -> None:
        self.jobs: list[str] = []
        self.log = log

    def submit_job(self, *, entrypoint: str, submission_id: str, metadata: dict) -> None:
        self.jobs.append(submission_id)
        words = [sys.executable, *shlex.split(entrypoint)[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        self.log = done.stdout if self.log is None else self.log

    def get_job_status(self, job: str) -> SimpleNamespace:
        return SimpleNamespace(is_terminal=lambda: True)

    def get_job_logs(self, job: str) -> str:
        return str(self.log)

    def delete_job(self, job: str) -> None:
        self.jobs.remove(job)


def test_the_head_says_what_it_lacks(here: Path) -> None:
    head = _Head()
    lacking = [str(here / "none.csv"), f"{here}/none/*.csv"]
    asked = [str(here / "clicks.csv"), f"{here}/logs/*/*.csv", str(here / "logs"), *lacking]
    assert head_lacks(head, asked) == lacking
    assert head.jobs == []  # it leaves nothing behind


def test_a_head_that_cannot_say(here: Path) -> None:
    with pytest.raises(ClusterError, match="could not say which files it has: python: not found"):
        head_lacks(_Head(log="python: not found\n"), [str(here)])
