"""A study's records on their way to MLflow: a journal on disk.

Every event is one JSON line, appended to a file in the study's folder; the file is the queue. A
second file holds the number of bytes that MLflow has taken. What is behind it is sent when the
store answers again, when the study is resumed, or by `tune.tracking.sync.sync`.
An event carries its own time, and MLflow keeps equal points once, so sending one again changes
nothing.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from hbpr.errors import StudyError
from hbpr.files import JsonLines, Lock, is_held, json_line, read_json_lines, write_text
from tune.storage.names import EVENTS, LOCK, OUTBOX, SENT
from tune.tracking.dead_letters import DeadLetters
from tune.tracking.runs import key_of_event

logger = logging.getLogger(__name__)

Event = dict[str, Any]

_CHUNK: Final = 500


class Outbox:
    """The journal of one study and what of it is still to be sent.

    One process at a time holds it. `append` never raises: where the disk is full, events wait in
    memory, and one error is logged.

    Args:
        folder: The outbox folder; made if needed.
        kept: Returns how many bytes of the journal may be sent; None: all.

    Attributes:
        dead_letters: Records that could not be sent, though the store answers.

    Raises:
        StudyError: Another process holds it.
    """

    def __init__(self, folder: str | Path, kept: Callable[[], int] | None = None) -> None:
        self._kept = kept
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dead_letters = DeadLetters(self.folder)
        self._lock = threading.Lock()
        self._guard = _hold(self.folder)
        self._is_open = True
        self._journal = JsonLines(self.folder / EVENTS)
        self._position = min(self._read_sent(), self._journal.size)  # the next byte to hand out
        self._sent = self._position
        self._unwritten: deque[bytes] = deque()
        self._in_flight = 0
        self._disk_failed = False

    def append(self, event: Event) -> None:
        """Add an event; it survives the end of this process from here on."""
        with self._lock:
            self._unwritten.append(json_line(event, default=str))
            try:
                while self._unwritten:
                    self._journal.append(self._unwritten[0])
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
            lines = self._journal.read_block(self._position)[:limit]
            if self._kept is not None:
                kept = self._kept() - self._position
                ends = accumulate(map(len, lines))
                lines = lines[: sum(end <= kept for end in ends)]
            self._position += sum(map(len, lines))
            while self._position == self._journal.size and self._unwritten and len(lines) < limit:
                lines.append(self._unwritten.popleft())
            self._in_flight = len(lines)
            return list(read_json_lines(lines, self.folder)), self._position

    def acknowledge(self, position: int) -> None:
        """Remember that everything before `position` has been sent; nothing once it is closed."""
        if not self._is_open:
            return  # another process may hold the folder by now, and be further
        try:
            if position != self._sent:
                write_text(self.folder / SENT, str(position))
                self._sent = position
        except OSError as error:
            logger.debug("%s: %s; events may be sent twice, which is harmless", self.folder, error)
        with self._lock:
            self._in_flight = 0  # last: who sees an empty outbox finds the position on disk

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sent."""
        with self._lock:
            return not (self._in_flight or self._unwritten or self._position < self._journal.size)

    def waiting(self) -> int:
        """Return how many events have not been sent: not acknowledged, or set aside."""
        with (self.folder / EVENTS).open("rb") as lines:
            lines.seek(self._read_sent())
            return sum(1 for _ in lines) + len(self.dead_letters)

    def put_back(self) -> None:
        """Add what was set aside again, to be sent once more.

        With it come all events of the same runs, in order: a start that arrives after the end
        would leave a run open. Those that MLflow has change nothing there.
        """
        missed = self.dead_letters.events()
        if not missed:
            return
        runs = {key_of_event(event) for event in missed}
        again = [event for event in self.events() if key_of_event(event) in runs]
        for event in again + [event for event in missed if event not in again]:
            self.append(event)
        self.dead_letters.clear()

    def events(self) -> Iterator[Event]:
        """All events of the journal, sent or not, from the first."""
        with (self.folder / EVENTS).open("rb") as lines:
            yield from read_json_lines(lines, self.folder)

    def close(self) -> None:
        """Let another process hold it; what was not sent stays."""
        with self._lock:
            self._is_open = False
            self._journal.close()
            self._guard.release()

    def _read_sent(self) -> int:
        try:
            return int((self.folder / SENT).read_text())
        except (FileNotFoundError, ValueError):
            return 0


def _hold(folder: Path) -> Lock:
    lock = Lock(folder / LOCK)
    try:
        if lock.acquire(wait=False):
            return lock
    except OSError as error:  # a file system without locks, such as some NFS
        logger.debug("%s cannot be locked: %s", folder, error)
        return lock
    raise StudyError(
        f"study {folder.parent}: another process runs it or sends its records; "
        "wait until it has ended"
    )


def is_in_use(study: Path) -> bool:
    """Return whether a process runs the study in a folder, or sends its records."""
    return is_held(study / OUTBOX / LOCK)
