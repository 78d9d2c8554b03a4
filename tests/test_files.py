"""`hbpr.files`: kills and full disks at any moment."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr import files
from hbpr.files import (
    JsonLines,
    Lock,
    fresh_file,
    fresh_folder,
    is_held,
    json_line,
    read_json_lines,
    write_bytes,
    write_json,
    write_text,
)

ROOT = Path(__file__).parents[1]


class TestWholeFiles:
    def test_text_bytes_and_json_come_back(self, tmp_path: Path) -> None:
        write_text(tmp_path / "text", "zwölf\r\n")
        write_bytes(tmp_path / "bytes", b"\0\1")
        write_json(tmp_path / "json", {"path": tmp_path, "n": [1, 2.5]})
        assert (tmp_path / "text").read_bytes() == "zwölf\r\n".encode()
        assert (tmp_path / "bytes").read_bytes() == b"\0\1"
        assert json.loads((tmp_path / "json").read_text()) == {
            "path": str(tmp_path),
            "n": [1, 2.5],
        }
        assert len(list(tmp_path.iterdir())) == 3

    def test_a_body_that_raises_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        write_text(path, "before")
        with pytest.raises(UnicodeEncodeError), fresh_file(path) as partial:
            partial.write_text("half \udcff", encoding="utf-8")
        assert [each.name for each in tmp_path.iterdir()] == ["x"]
        assert path.read_text() == "before"

    def test_a_full_disk_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        write_bytes(path, b"before")
        code = (
            "import resource, signal, sys; from pathlib import Path; from hbpr import files;"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
            "files.write_bytes(Path(sys.argv[1]), bytes(5000))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, check=False
        )
        assert b"File too large" in done.stderr
        assert [each.name for each in tmp_path.iterdir()] == ["x"]
        assert path.read_bytes() == b"before"

    def test_two_writers_do_not_meet(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        with fresh_file(path) as one, fresh_file(path) as other:
            one.write_text("one")
            other.write_text("other")
        assert path.read_text() == "one"

    def test_a_new_file_has_the_usual_permissions(self, tmp_path: Path) -> None:
        (tmp_path / "usual").write_text("")
        write_text(tmp_path / "new", "")
        modes = {path.stat().st_mode for path in tmp_path.iterdir()}
        assert len(modes) == 1


class TestWholeFolders:
    def test_it_appears_at_the_end_and_replaces_what_was_there(self, tmp_path: Path) -> None:
        path = tmp_path / "above" / "x"
        for text in ("one", "other"):
            with fresh_folder(path) as fresh:
                (fresh / "file").write_text(text)
                assert not path.exists() or (path / "file").read_text() == "one"
            assert (path / "file").read_text() == text
        assert list(path.parent.iterdir()) == [path]
        assert path.stat().st_mode == tmp_path.joinpath("above").stat().st_mode

    def test_a_body_that_raises_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        path.mkdir()
        (path / "file").write_text("before")
        with pytest.raises(UnicodeEncodeError), fresh_folder(path) as fresh:
            (fresh / "file").write_text("half \udcff", encoding="utf-8")
        assert list(tmp_path.iterdir()) == [path]
        assert (path / "file").read_text() == "before"

    def test_what_was_there_is_back_if_the_last_step_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x"
        path.mkdir()
        (path / "file").write_text("before")
        rename = os.rename

        def refuse(source: Path, target: Path) -> None:
            if source.name == "new":
                raise OSError(errno.EIO, "broken")
            rename(source, target)

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match="broken"), fresh_folder(path):
            pass
        assert (path / "file").read_text() == "before"


HOLDER = """
import subprocess, sys
from pathlib import Path
from hbpr.files import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.acquire(wait=False)
child = subprocess.Popen(["sleep", "60"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> "Iterator[subprocess.Popen[str]]":
    """Another process that holds a lock, with a child of its own that outlives it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        with process:
            pass


class TestLocks:
    def test_one_at_a_time(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        one, other = Lock(path), Lock(path)
        assert not is_held(path), "there is no such file"
        assert one.acquire(wait=False)
        assert is_held(path)
        assert not other.acquire(wait=False)
        one.release()
        one.release()
        assert not is_held(path)
        with other:
            assert not one.acquire(wait=False)
        assert one.acquire(wait=False)
        one.release()

    def test_a_folder_can_be_locked_and_stays_empty(self, tmp_path: Path) -> None:
        with Lock(tmp_path):
            assert not Lock(tmp_path).acquire(wait=False)
        assert list(tmp_path.iterdir()) == []

    def test_a_killed_process_holds_nothing_though_its_children_live(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        with holder(path) as process:
            assert is_held(path)
            lock = Lock(path)
            assert not lock.acquire(wait=False)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not is_held(path)
            assert lock.acquire(wait=False)
            lock.release()

    def test_who_waits_gets_it_when_the_other_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        with holder(path) as process:
            assert process.stdin is not None
            process.stdin.close()
            with Lock(path):
                assert process.wait(timeout=60) == 0

    def test_a_process_that_was_forked_does_not_keep_it(self, tmp_path: Path) -> None:
        lock = Lock(tmp_path / "lock")
        lock.acquire(wait=False)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent closes the pipe
            os._exit(0)
        os.close(reading)
        lock.release()
        assert not is_held(tmp_path / "lock")
        os.close(writing)
        os.waitpid(child, 0)

    def test_a_file_that_is_not_there_is_not_made_to_look_at_it(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Lock(tmp_path / "x", create=False).acquire(wait=False)
        assert not is_held(tmp_path / "x")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_system_without_locks_is_an_error_and_no_lock(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`filelock.FileLock` would take a file's existence for a lock there."""

        def refuse(handle: int, *, blocking: bool) -> bool:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(files, "lock_descriptor", refuse)
        n_open = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="not implemented"):
            Lock(tmp_path / "lock").acquire(wait=False)
        assert not is_held(tmp_path / "lock")
        assert len(os.listdir("/proc/self/fd")) == n_open


def values(path: Path) -> list[int]:
    with path.open("rb") as lines:
        return [value["n"] for value in read_json_lines(lines, path)]


class TestJsonLines:
    @settings(max_examples=60, deadline=None)
    @given(kept=st.integers(0, 200), n_lines=st.integers(0, 12), width=st.integers(0, 30))
    def test_a_torn_end_is_cut_off_wherever_it_is(
        self, tmp_path_factory: pytest.TempPathFactory, kept: int, n_lines: int, width: int
    ) -> None:
        path = tmp_path_factory.mktemp("lines") / "x"
        whole = [json_line({"n": n, "text": "x" * width}) for n in range(n_lines)]
        data = b"".join(whole)[:kept]
        path.write_bytes(data)
        lines = JsonLines(path)
        n_kept = data.count(b"\n")
        assert values(path) == list(range(n_kept))
        assert lines.size == path.stat().st_size == len(b"".join(whole[:n_kept]))
        lines.append(json_line({"n": 99}))
        assert values(path) == [*range(n_kept), 99]
        lines.close()

    def test_a_torn_end_longer_than_a_block_is_cut_off_and_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "x"
        path.write_bytes(b'{"n":0}\n' + b"x" * (5 << 20))
        JsonLines(path)
        assert values(path) == [0]
        assert f"unfinished last line of {5 << 20} bytes" in caplog.text

    @settings(max_examples=60, deadline=None)
    @given(
        actions=st.lists(
            st.one_of(st.none(), st.tuples(st.integers(0, 30), st.booleans())), max_size=20
        )
    )
    def test_a_write_that_fails_leaves_no_trace(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        actions: list[tuple[int, bool] | None],
    ) -> None:
        """None: a write that works; else the bytes that fit, and whether cutting them off fails."""
        path = tmp_path_factory.mktemp("lines") / "x"
        lines, expected = JsonLines(path), []
        write, truncate = os.write, os.ftruncate
        for n, action in enumerate(actions):
            line = json_line({"n": n, "text": "twenty bytes or more"})
            if action is None:
                lines.append(line)
                expected.append(n)
                continue
            fits, keeps = action
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    os, "write", lambda handle, data, fits=fits: write(handle, data[:fits])
                )
                if keeps:
                    patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError("no")))
                with pytest.raises(OSError):  # noqa: PT011  either of them
                    lines.append(line)
                assert os.ftruncate is truncate or keeps
        lines.append(b"")
        assert values(path) == expected
        lines.close()

    def test_blocks_hold_whole_lines_and_at_least_one(self, tmp_path: Path) -> None:
        lines = JsonLines(tmp_path / "x")
        written = [
            json_line({"n": n, "text": "x" * width}) for n, width in enumerate((9, 3 << 20, 9))
        ]
        lines.append(b"".join(written))
        position, read = 0, []
        while block := lines.read_block(position):
            read += block
            position += sum(map(len, block))
        assert read == written
        assert position == lines.size

    def test_what_is_no_mapping_is_passed_over(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = read_json_lines([b'{"n":0}\n', b"17\n", b"no json\n", b"\xff\n"], "here")
        with caplog.at_level(logging.WARNING):
            assert list(found) == [{"n": 0}]
        assert caplog.text.count("here: a record is unreadable") == 2

    def test_a_closed_file_writes_nowhere(self, tmp_path: Path) -> None:
        lines = JsonLines(tmp_path / "x")
        lines.close()
        lines.close()
        with (tmp_path / "other").open("wb"), pytest.raises(OSError, match="Bad file"):
            lines.append(b"{}\n")
        assert (tmp_path / "other").read_bytes() == b""
