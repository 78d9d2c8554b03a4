"""The wheel that travels with a logged model."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hbpr.tracking import own_wheel
from hbpr.tracking.own_wheel import write_wheel
from hbpr.version import __version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = write_wheel(tmp_path_factory.mktemp("wheel"))
    assert written is not None
    return written


def test_it_holds_the_packages_their_files_and_what_they_require(wheel: Path) -> None:
    assert wheel.name == f"hbpr-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        about = f"hbpr-{__version__}.dist-info"
        assert {"hbpr/configs/quickstart.yaml", "tune/__main__.py", "hbpr/py.typed"} <= names
        assert any(name.startswith("dashboards/templates/") for name in names)
        assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
        assert "Requires-Dist: torch" in opened.read(f"{about}/METADATA").decode()
        for line in opened.read(f"{about}/RECORD").decode().splitlines():
            name, digest, size = line.split(",")
            if digest:
                content = opened.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
                assert (digest, int(size)) == (f"sha256={found.decode()}", len(content))
            names.discard(name)
        assert not names


def test_its_code_runs(wheel: Path, tmp_path: Path) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import hbpr, tune; print(hbpr.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(wheel)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))


def test_the_same_files_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = write_wheel(tmp_path)
    assert again is not None
    assert again.read_bytes() == wheel.read_bytes()


def test_without_an_installation_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_wheel, "_described", lambda: None)
    assert write_wheel(tmp_path) is None
    assert not list(tmp_path.iterdir())
