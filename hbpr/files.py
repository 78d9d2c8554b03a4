"""Files that are whole or not there, locks that end with their process, and files of JSON lines.

All of it is about a process that is killed and a disk that is full, at any moment. Nothing here
waits for the disk unless it says so: a machine that loses power may lose what came last.
"""

import errno
import json
import logging
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import lock_descriptor, unlock_descriptor

logger = logging.getLogger(__name__)

#: How the name ends of a file that is not whole yet; a process that is killed may leave one behind.
PARTIAL: Final = ".partial"
#: Bytes of a file of lines that are read at a time; a line may be longer.
_BLOCK: Final = 1 << 20


@contextmanager
def fresh_file(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which becomes `path` in one step once the body has ended.

    If the body raises, what was there stays. Several processes may write the same file; the last
    one that ends wins.

    Args:
        path: The file, in a folder that exists.
    """
    partial = path.with_name(f".{path.name}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, or replace it, whole or not at all."""
    with fresh_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, or replace it, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, whole or not at all; a value that JSON has not is written as text."""
    write_text(path, json.dumps(content, indent=2, default=str) + "\n")


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which becomes `path` in one step once the body has ended.

    A folder that was there is replaced; it is back if that fails. (It takes two steps: no system
    call replaces a folder that holds something. A process killed between them leaves none.)

    Args:
        path: The folder; its parents are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a private folder, so that the new one gets the usual permissions.
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=PARTIAL, dir=path.parent))
    fresh, old = temporary / "new", temporary / "old"
    try:
        fresh.mkdir()
        yield fresh
        if path.is_dir():
            os.rename(path, old)
        try:
            os.rename(fresh, path)
        except OSError:
            if old.is_dir():
                os.rename(old, path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class Lock:
    """An exclusive lock on a file or a folder, among processes and within one.

    The system holds it, not a file's existence, so it ends with the process however that ends. No
    program that the process starts inherits it.

    The lock is `filelock.lock_descriptor`'s rather than `filelock.FileLock`'s: that one cannot
    lock a folder, and where a file system has no locks it warns and takes a file's existence for
    one, which would outlive a killed process.

    Args:
        path: A folder, or a file.
        create: Make the file if it is missing.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._create = os.O_CREAT if create else 0
        self._handle: int | None = None

    def acquire(self, *, wait: bool) -> bool:
        """Take the lock.

        Args:
            wait: Wait until it is free.

        Returns:
            False where another holds it.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks.
        """
        flags = os.O_RDONLY if self.path.is_dir() else os.O_RDWR | self._create
        handle = os.open(self.path, flags, 0o644)
        try:
            held = lock_descriptor(handle, blocking=wait)
        except BaseException:
            os.close(handle)
            raise
        if held:
            self._handle = handle
        else:
            os.close(handle)
        return held

    def release(self) -> None:
        """Let it go; nothing happens where it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                unlock_descriptor(handle)  # closing is not enough where a forked process has it too
            finally:
                os.close(handle)

    def __enter__(self) -> Self:
        """Wait for the lock."""
        self.acquire(wait=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Return whether somebody holds the `Lock` on a file; False where there is no such file."""
    lock = Lock(path, create=False)
    try:
        held = not lock.acquire(wait=False)
    except OSError:
        return False
    lock.release()
    return held


class JsonLines:
    """An append-only file of JSON values, one a line, with one writer; others may read it.

    A last line that a killed writer left unfinished is cut off when the file is opened to write.

    Args:
        path: The file, made if it is missing.

    Attributes:
        size: Bytes of whole lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._close = weakref.finalize(self, os.close, self._handle)
        self._is_torn = False
        self.size = self._cut_torn_end()

    def append(self, lines: bytes) -> None:
        """Add lines, such as `json_line` returns, in one write: all of them or none.

        Raises:
            OSError: The disk is full, or cannot be written; what was written is taken back, now or
                before the next write.
        """
        if self._is_torn:
            os.ftruncate(self._handle, self.size)
            self._is_torn = False
        self.size = os.fstat(self._handle).st_size
        try:
            written = os.write(self._handle, lines)
            if written < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            self._is_torn = True
            os.ftruncate(self._handle, self.size)  # half a line would swallow the next one
            self._is_torn = False
            raise
        self.size += written

    def read_block(self, position: int) -> list[bytes]:
        """Return whole lines from a position on: a block of them, at least one if there is one."""
        left, length = self.size - position, _BLOCK
        while True:
            block = os.pread(self._handle, min(left, length), position)
            end = block.rfind(b"\n") + 1
            if end or length >= left:
                return block[:end].splitlines(keepends=True)
            length *= 2

    def sync(self) -> None:
        """Wait until everything that was written is on the disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Let the file go; to be called once more is fine."""
        self._close()
        self._handle = -1  # its number may be another file's soon

    def _cut_torn_end(self) -> int:
        """Cut off what a killed process or a full disk left of a last line; return the size."""
        size = end = os.fstat(self._handle).st_size
        whole = 0
        while end and not whole:
            begin = max(0, end - _BLOCK)
            newline = os.pread(self._handle, end - begin, begin).rfind(b"\n")
            whole, end = (begin + newline + 1 if newline >= 0 else 0), begin
        if whole < size:
            logger.warning(
                "%s: cut off an unfinished last line of %d bytes", self.path, size - whole
            )
            os.ftruncate(self._handle, whole)
        return whole


def json_line(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    r"""Return a value as one line of JSON.

    Example:
        >>> json_line({"event": "end", "at": 1})
        b'{"event":"end","at":1}\n'
    """
    return json.dumps(value, separators=(",", ":"), default=default).encode() + b"\n"


def read_json_lines(lines: Iterable[bytes], place: object) -> Iterator[dict[str, Any]]:
    """Yield the mappings that lines hold, and pass over what is none.

    Args:
        lines: Such as an open file.
        place: What the lines are from, for the log.
    """
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            logger.warning("%s: a record is unreadable and is skipped: %.80r", place, line)
            continue
        if isinstance(value, dict):
            yield value
