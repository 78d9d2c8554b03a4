"""A disk that fills up under a study, on a real small file system."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hbpr.cli.main import cli, run

CONFIG = """
data: {source: synthetic, synthetic: {n_users: 80, n_items: 50, n_shown: 25}}
training: {n_iter: 150, eval_every: 5, early_stopping_patience: 0}
mlflow: {experiment_name: full}
sweep:
  scheduler: {kind: none}
  num_trials: 6
  space:
    optimizer.lr: {low: 0.01, high: 0.5, log: true}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"0" * 2**20):
                pass
        except OSError:
            return


def test_a_disk_without_space_or_without_the_right_to_write(
    disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = ["tune", "config.yaml", "--set", f"sweep.storage={disk}/studies"]
    (disk / "filler").write_bytes(b"0" * 40 * 2**20)
    assert run(cli, command) == 2
    assert "is nearly full: 24 MiB are free" in capsys.readouterr().err
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert run(cli, command) == 2
    said = capsys.readouterr()
    assert "Read-only file system" in said.err
    assert "Traceback" not in said.out + said.err


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("tracking_uri")
def test_a_disk_that_fills_up_ends_the_study_in_order(
    disk: Path, tmp_path: Path, terminal: Any
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = ["tune", "config.yaml", "--cpus", "1", "--set", f"sweep.storage={disk}/studies"]
    process = terminal.start(tmp_path, *command)
    terminal.wait_until(lambda: n_events(disk) >= 60, process)
    fill(disk / "filler")
    _, error = terminal.end(process, code=1)
    assert "the study cannot write to its folder" in error
    (folder,) = disk.glob("studies/*/*")
    assert f"hbpr study resume {folder}" in error

    (disk / "filler").unlink()
    out, _ = terminal.run(tmp_path, "study", "resume", str(folder), "--cpus", "1")
    assert "6 trials (6 finished, 0 stopped, 0 failed)" in out


def n_events(above: Path) -> int:
    """How many events the journals of all studies hold."""
    return sum(path.read_bytes().count(b"\n") for path in above.glob("studies/*/*/journal.log"))
