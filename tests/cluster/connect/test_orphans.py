"""Folders that Ray's processes made after their driver was killed and its folder removed."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.connect.orphans import UNTOUCHED_S, sweep_orphans

pytest.importorskip("ray")  # brings psutil

PREFIX = "hbpr-"


def orphan(base: Path, name: str = "abc_1234", *, hours: float = 48.0) -> Path:
    """Make a folder as an agent of Ray leaves it, last touched some hours ago."""
    folder = base / f"{PREFIX}{name}"
    logs = folder / "ray" / "session_2026-11-21_16-02-02_074855_2233" / "logs"
    logs.mkdir(parents=True)
    (logs / "agent.log").write_text("x")
    age(folder, hours)
    return folder


def age(folder: Path, hours: float) -> None:
    then = time.time() - 3600.0 * hours
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then), follow_symlinks=False)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: a socket's path holds 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="o-") as folder:
        yield Path(folder)


def test_an_old_folder_without_a_lock_is_removed(tmp_path: Path) -> None:
    folder = orphan(tmp_path)
    assert sweep_orphans(str(tmp_path), PREFIX) == [folder]
    assert not folder.exists()


def test_what_may_be_somebodys_stays(tmp_path: Path) -> None:
    young = orphan(tmp_path, "young_00", hours=UNTOUCHED_S / 3600 - 1)
    written = orphan(tmp_path, "written0")
    (written / "ray" / "session_2026-11-21_16-02-02_074855_2233" / "logs" / "agent.log").touch()
    locked = orphan(tmp_path, "locked_0")
    (locked / "driver.lock").touch()
    age(locked, 48.0)
    other = orphan(tmp_path, "results0")
    (other / "notes.txt").touch()
    age(other, 48.0)
    named = orphan(tmp_path, "my-results")
    empty = tmp_path / f"{PREFIX}empty_00" / "ray"
    empty.mkdir(parents=True)
    age(empty.parent, 48.0)
    link = tmp_path / f"{PREFIX}linked_0"
    link.symlink_to(orphan(tmp_path / "elsewhere"))
    assert sweep_orphans(str(tmp_path), PREFIX) == []
    assert all(path.exists() for path in (young, written, locked, other, named, empty, link))


#: Each keeps hold of a folder in another way; the folder comes on standard input where it is not
#: to be in the command, and `ready` is printed when it is held.
_HOLDERS = {
    "command": "import sys; print('ready', flush=True); sys.stdin.read()",
    "environment": "import sys; print('ready', flush=True); sys.stdin.read()",
    "folder": "import os, sys; os.chdir(sys.stdin.readline().strip()); "
    "print('ready', flush=True); sys.stdin.read()",
    "socket": "import socket, sys; s = socket.socket(socket.AF_UNIX); "
    "s.bind(sys.stdin.readline().strip() + '/ray/s'); print('ready', flush=True); sys.stdin.read()",
    "file": "import sys; f = open(sys.stdin.readline().strip() + '/ray/x.log', 'w'); "
    "print('ready', flush=True); sys.stdin.read()",
}


def test_what_a_living_process_holds_stays_until_it_ends(short_path: Path) -> None:
    held: dict[Path, subprocess.Popen[str]] = {}
    for index, (how, program) in enumerate(_HOLDERS.items()):
        folder = orphan(short_path, f"held_00{index}")
        process = subprocess.Popen(
            [sys.executable, "-c", program, *([str(folder)] if how == "command" else [])],
            env=os.environ | ({"TOKEN": f"{folder}/token"} if how == "environment" else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        age(folder, 48.0)
        held[folder] = process
    free = orphan(short_path, "free_000")
    try:
        assert sweep_orphans(str(short_path), PREFIX) == [free]
        assert all(folder.exists() for folder in held)
    finally:
        for process in held.values():
            process.communicate()  # its input ends, and so does it
    assert sorted(sweep_orphans(str(short_path), PREFIX)) == sorted(held)
