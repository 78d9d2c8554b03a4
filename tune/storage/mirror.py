"""A study's folder, copied to an object store while the study runs.

The journal and the records go up as segments every `EVERY_S` seconds, everything else whole where
it has changed. What MLflow is sent (`recorded`) and which checkpoints are removed (`after_this`)
wait for that: a driver that takes over knows all that MLflow knows, and finds a checkpoint of each
trial that it has to run again.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hbpr.errors import HbprError, StudyError
from hbpr.places import Place
from tune.storage import names
from tune.storage.lease import Lease, lost_words
from tune.storage.segments import BEGINS, LOG, Segment

logger = logging.getLogger(__name__)

#: Seconds between two copies; a killed driver loses at most these and what a copy takes.
EVERY_S: Final = 2.0
#: Files that grow; of two that say the same, the first goes up first.
JOURNAL: Final = names.JOURNAL
RECORDS: Final = f"{names.OUTBOX}/{names.EVENTS}"
GROWING: Final = (JOURNAL, RECORDS)
#: What stays here: trials write checkpoints themselves, the rest is of this machine.
_NOT_COPIED: Final = (names.CHECKPOINTS, names.RAY)
#: Segments of a file after which they become one.
_MERGE_AT: Final = 60
_BLOCK: Final = 1 << 20


class Mirror:
    """Copies the folder of a study to its place in a store, in a thread.

    Args:
        folder: The study's folder on this machine; it may not be there yet.
        place: The study's place in the store.
        lease: Of this process on the study.
        known: Files of the folder that came from the store and are there, by path and `_state`.
    """

    def __init__(
        self, folder: Path, place: Place, lease: Lease, known: dict[str, tuple[int, int]]
    ) -> None:
        self.folder, self.place, self._lease = folder, place, lease
        self._known = known
        self._sizes = {name: _length(folder / name) for name in GROWING}
        self._segments: dict[str, list[Segment]] = {name: [] for name in GROWING}
        self._later: list[Callable[[], None]] = []
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failed = False
        self._log = place / LOG / f"{lease.term:05d}"
        (self._log / BEGINS).write(json.dumps(self._sizes).encode())
        self._thread = threading.Thread(target=self._run, name="hbpr-mirror", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str | None:
        """Why this driver must stop, in words; None while it need not."""
        lost = self._lease.lost
        return None if lost is None else lost_words(self.place.told, lost)

    def recorded(self) -> int:
        """Return how many bytes of the records are in the store."""
        return self._sizes[RECORDS]

    def after_this(self, action: Callable[[], None]) -> None:
        """Do something once all that is in the folder now is in the store."""
        self._later.append(action)

    def hurry(self) -> None:
        """Copy now, and return at once."""
        self._wake.set()

    def flush(self) -> None:
        """Copy now.

        Raises:
            StudyError: Another driver went on with the study.
            HbprError: The store does not answer.
        """
        with self._turn:
            self._lease.check()
            self._copy()

    def close(self) -> None:
        """Copy a last time, and end the thread.

        Raises:
            HbprError: As `flush`.
        """
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self.flush()

    def abandon(self) -> None:
        """End the thread; what is not in the store stays here."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    # Inside.

    def _run(self) -> None:
        while not self._stop.is_set() and self._lease.lost is None:
            self._wake.wait(EVERY_S)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.flush()
            except StudyError:
                return  # told by the lease
            except (HbprError, OSError) as error:
                if not self._failed:
                    logger.warning(
                        "%s cannot be written now: %s. The study goes on; a driver that takes over "
                        "would know nothing newer",
                        self.place.told,
                        error,
                    )
                self._failed = True
            else:
                if self._failed:
                    logger.warning("%s is written again", self.place.told)
                self._failed = False

    def _copy(self) -> None:
        """Bring the store up to date; the caller has the turn."""
        later, self._later = self._later, []
        try:
            # The records first say how far they go, so that the journal has all that they tell.
            ends = {
                name: _whole_lines(self.folder / name, self._sizes[name])
                for name in reversed(GROWING)
            }
            for name in GROWING:
                self._grow(name, ends[name])
            self._copy_changed()
        except BaseException:
            self._later = later + self._later
            raise
        for action in later:
            action()

    def _grow(self, name: str, end: int) -> None:
        start = self._sizes[name]
        if end <= start:
            return
        segment = Segment(self._lease.term, start, end)
        self._put(name, segment)
        self._sizes[name] = end
        segments = self._segments[name]
        segments.append(segment)
        if len(segments) < _MERGE_AT:
            return
        merged = Segment(self._lease.term, segments[0].start, end)
        self._put(name, merged)
        for each in segments:
            (self._log / name / each.name).remove()
        self._segments[name] = []

    def _put(self, name: str, segment: Segment) -> None:
        with (self.folder / name).open("rb") as file:
            file.seek(segment.start)
            content = file.read(segment.end - segment.start)
        (self._log / name / segment.name).write(content)

    def _copy_changed(self) -> None:
        found = {path: _state(self.folder / path) for path in _files(self.folder)}
        # A study with a summary has come to its result: the summary comes last.
        for path in sorted(found, key=lambda each: (each == names.SUMMARY, each)):
            state = found[path]
            if state is None or self._known.get(path) == state:
                continue
            (self.place / path).upload(self.folder / path)
            self._known[path] = state
        for path in sorted(self._known.keys() - found.keys()):
            (self.place / path).remove()
            del self._known[path]


def states_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the files of a study's folder that are copied whole, each with what tells a change."""
    states = {path: _state(folder / path) for path in _files(folder)}
    return {path: state for path, state in states.items() if state is not None}


def _files(folder: Path) -> Iterator[str]:
    """Yield the files that are copied whole, by their path in the folder."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        name = "/".join(parts)
        if (
            parts[0] in _NOT_COPIED
            or name in (*GROWING, f"{names.OUTBOX}/{names.LOCK}")
            or any(part.startswith(".") for part in parts)
            or not path.is_file()
        ):
            continue
        yield name


def _state(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except FileNotFoundError:  # replaced just then
        return None
    return about.st_mtime_ns, about.st_size


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _whole_lines(path: Path, start: int) -> int:
    """Return the position behind the last whole line of a file, `start` where none is new."""
    end = _length(path)
    if end <= start:
        return start
    with path.open("rb") as file:
        while end > start:
            begin = max(start, end - _BLOCK)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
    return start
