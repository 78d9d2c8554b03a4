"""Ctrl-C and a cluster's request to stop: the study ends in order and can be resumed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StudyInterrupted(KeyboardInterrupt):
    """A study was stopped from outside; nothing of it is lost.

    Attributes:
        folder: The study's folder, or its URL in an object store, to resume it.
        ended_from_outside: Whether the process itself was asked to end (SIGTERM), not the study.
    """

    def __init__(self, folder: str, *, ended_from_outside: bool = False) -> None:
        super().__init__(f"the study was stopped; its trials so far are kept in {folder}")
        self.folder = folder
        self.ended_from_outside = ended_from_outside


class StopRequest:
    """Whether someone asked the study to stop; Tune asks it after every step, as any stopper.

    It derives from none of Tune's classes, so that it is there before Ray is imported.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signum: int | None = None
        self._is_polled = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials should stop."""
        return self.requested

    @contextmanager
    def polled(self) -> Iterator[None]:
        """In the body a first request is only noted, since Tune asks for it."""
        self._is_polled = True
        try:
            yield
        finally:
            self._is_polled = False

    def request(self, signum: int, frame: FrameType | None) -> None:
        """Note a signal; the second one, or one that nobody would ask for, raises."""
        self.signum = signum
        if self.requested or not self._is_polled:
            self.requested = True
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def orderly_stop() -> Iterator[StopRequest]:
    """Take Ctrl-C (SIGINT) and SIGTERM in the body; only the main thread can."""
    stop = StopRequest()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            before[signum] = signal.signal(signum, stop.request)
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
