"""A study's records on their way to MLflow: a journal on disk.

Every event is one JSON line, appended to ``outbox/events.jsonl`` in the study's folder; the file
is the queue. ``outbox/sent`` holds the number of bytes that MLflow has taken. What is behind it is
sent when the store answers again, when the study is resumed, or by `tune.tracking.delivery.sync`.
An event carries its own time, and MLflow keeps equal points once, so sending one again changes
nothing.
"""

import contextlib
import fcntl
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hbpr.errors import StudyError
from tune.tracking.dead_letters import Aside
from tune.tracking.runs import place_of_event

logger = logging.getLogger(__name__)

Event = dict[str, Any]

_CHUNK: Final = 500
#: Bytes of the journal that are read at a time; a line may be longer.
_BLOCK: Final = 1 << 20


class Outbox:
    """The journal of one study and what of it is still to be sent.

    One process at a time holds it. `append` never raises: where the disk is full, events wait in
    memory, and one error is logged.

    Args:
        folder: The outbox folder; made if needed.

    Attributes:
        aside: Records that could not be sent, though the store answers.

    Raises:
        StudyError: Another process holds it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.aside = Aside(self.folder)
        self._lock = threading.Lock()
        self._guard = _hold(self.folder)
        self._journal = os.open(
            self.folder / "events.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644
        )
        self._size = self._drop_torn_line()
        self._position = min(self._read_sent(), self._size)  # the next byte to hand out
        self._unwritten: deque[bytes] = deque()
        self._in_flight = 0
        self._disk_failed = False

    def append(self, event: Event) -> None:
        """Add an event; it survives the end of this process from here on."""
        line = json.dumps(event, separators=(",", ":"), default=str).encode() + b"\n"
        with self._lock:
            self._unwritten.append(line)
            try:
                while self._unwritten:
                    self._write(self._unwritten[0])
                    self._unwritten.popleft()
            except OSError as error:
                if not self._disk_failed:
                    logger.error(
                        "records of the study cannot be written to %s (%s): they are kept in "
                        "memory and still sent to MLflow",
                        self.folder,
                        error,
                    )
                self._disk_failed = True
            else:
                self._disk_failed = False

    def take(self, limit: int = _CHUNK) -> tuple[list[Event], int]:
        """Return the next events, at most `limit`, and the position to `acknowledge` for them."""
        with self._lock:
            lines = self._next_lines()[:limit]
            self._position += sum(map(len, lines))
            while self._position == self._size and self._unwritten and len(lines) < limit:
                lines.append(self._unwritten.popleft())
            self._in_flight = len(lines)
            return [event for line in lines for event in _parse(line)], self._position

    def acknowledge(self, position: int) -> None:
        """Remember that everything before `position` has been sent; nothing once it is closed."""
        if self._guard < 0:
            return  # another process may hold the folder by now, and be further
        try:
            fresh = self.folder / "sent.new"
            fresh.write_text(str(position))
            os.replace(fresh, self.folder / "sent")
        except OSError as error:
            logger.debug("%s: %s; events may be sent twice, which is harmless", self.folder, error)
        with self._lock:
            self._in_flight = 0  # last: who sees an empty outbox finds the position on disk

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sent."""
        with self._lock:
            return not (self._in_flight or self._unwritten or self._position < self._size)

    def waiting(self) -> int:
        """Return how many events have not been sent: not acknowledged, or set aside."""
        with (self.folder / "events.jsonl").open("rb") as lines:
            lines.seek(self._read_sent())
            return sum(1 for _ in lines) + len(self.aside)

    def put_back(self) -> None:
        """Add what was set aside again, to be sent once more.

        With it come all events of the same runs, in order: a start that arrives after the end
        would leave a run open. Those that MLflow has change nothing there.
        """
        missed = self.aside.events()
        if not missed:
            return
        runs = {place_of_event(event) for event in missed}
        again = [event for event in self.events() if place_of_event(event) in runs]
        for event in again + [event for event in missed if event not in again]:
            self.append(event)
        self.aside.clear()

    def events(self) -> Iterator[Event]:
        """All events of the journal, sent or not, from the first."""
        with (self.folder / "events.jsonl").open("rb") as lines:
            for line in lines:
                yield from _parse(line)

    def close(self) -> None:
        """Let another process hold it; what was not sent stays."""
        with self._lock:
            for handle in (self._journal, self._guard):
                with contextlib.suppress(OSError):
                    os.close(handle)
            self._journal = self._guard = -1

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._journal, line)
            if written < len(line):
                raise OSError(f"{written} of {len(line)} bytes were written")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._journal, self._size)
            raise
        self._size += len(line)

    def _next_lines(self) -> list[bytes]:
        """Read whole lines from the position on: a block of them, at least one if there is one."""
        left, length = self._size - self._position, _BLOCK
        while True:
            block = os.pread(self._journal, min(left, length), self._position)
            end = block.rfind(b"\n") + 1
            if end or length >= left:
                return block[:end].splitlines(keepends=True)
            length *= 2

    def _drop_torn_line(self) -> int:
        """Cut what a crash left of a last line; return the size."""
        size = end = os.fstat(self._journal).st_size
        whole = 0
        while end and not whole:
            begin = max(0, end - _BLOCK)
            newline = os.pread(self._journal, end - begin, begin).rfind(b"\n")
            whole, end = (begin + newline + 1 if newline >= 0 else 0), begin
        if whole < size:
            os.ftruncate(self._journal, whole)
        return whole

    def _read_sent(self) -> int:
        try:
            return int((self.folder / "sent").read_text())
        except (FileNotFoundError, ValueError):
            return 0


def _hold(folder: Path) -> int:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StudyError(
            f"study {folder.parent}: another process runs it or sends its records; "
            "wait until it has ended"
        ) from None
    except OSError as error:  # a file system without locks
        logger.debug("%s cannot be locked: %s", folder, error)
    return handle


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock on a file, such as ``outbox/lock``."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _parse(line: bytes) -> Iterator[Event]:
    try:
        event = json.loads(line)
    except ValueError:
        logger.warning("a record of the study is unreadable and is skipped: %.80r", line)
        return
    if isinstance(event, dict):
        yield event
