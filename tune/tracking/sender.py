"""The background thread that sends a study's records, so that no trial ever waits for MLflow.

A store that is away is tried again for as long as it takes. A record that alone cannot be sent,
though the store answers, is set aside: see `tune.tracking.dead_letters`.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from hbpr.errors import TrackingError
from tune.tracking.outbox import Event, Outbox

logger = logging.getLogger(__name__)

#: Delivers events, in order; raises TrackingError or OSError where it should be tried again.
Deliver = Callable[[list[Event]], None]

#: Importing MLflow takes a second of a CPU that the first trials can use.
_FIRST_PAUSE_S: Final = 4.0
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
#: How long the end of a study waits for a store that does not answer.
_PATIENCE_S: Final = 5.0


class Sender:
    """The thread that empties an outbox; the driver's loop never waits for MLflow.

    Attributes:
        away_s: Seconds for which the store did not answer.
    """

    def __init__(self, outbox: Outbox, deliver: Deliver, where: str) -> None:
        self._outbox, self._deliver, self._where = outbox, deliver, where
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._idle = threading.Condition()
        self._failures = 0
        self.away_s = 0.0
        self._thread = threading.Thread(target=self._run, name="hbpr-recorder", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is sent; return False where it was not.

        That is after `timeout_s`, sooner if the store refuses two tries in a row, and where
        records were set aside.
        """
        begun, failures = time.monotonic(), self._failures
        with self._idle:
            while not self._outbox.is_empty and self._thread.is_alive():
                self._hurry.set()
                waited = time.monotonic() - begun
                left = timeout_s - waited
                if left <= 0 or (self._failures >= failures + 2 and waited > _PATIENCE_S):
                    return False
                self._idle.wait(min(left, 0.2))
        return self._outbox.is_empty and not len(self._outbox.dead_letters)

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread; what was not sent stays in the outbox."""
        self._stop.set()
        self._hurry.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._hurry.wait(_FIRST_PAUSE_S)
        while not self._stop.is_set():
            self._hurry.clear()
            events, position = self._outbox.take()
            if events:
                if not self._send(events):
                    return
                self._outbox.acknowledge(position)
                continue
            if self._outbox.is_empty:
                with self._idle:
                    self._idle.notify_all()
            else:
                self._outbox.acknowledge(position)  # lines that were no events
            # A pause lets results gather: one call then carries several.
            self._hurry.wait(_PAUSE_S)

    def _send(self, events: list[Event]) -> bool:
        """Deliver events; return False where the thread was ended before the store took them."""
        try:
            return self._deliver_when_possible(events)
        except Exception:
            logger.debug("%d records failed together", len(events), exc_info=True)
        for event in events:
            try:
                if not self._deliver_when_possible([event]):
                    return False
            except Exception as error:  # noqa: BLE001  it is logged and kept
                self._outbox.dead_letters.add(event, error)
        return True

    def _deliver_when_possible(self, events: list[Event]) -> bool:
        """Deliver events, again and again while the store is away; other errors are raised."""
        pause, since = 1.0, None
        while True:
            tried = time.monotonic()
            try:
                self._deliver(events)
            except (TrackingError, OSError) as error:
                if since is None:
                    logger.warning(
                        "%s The study goes on; its records wait in %s and are sent later",
                        str(error).rstrip(".") + ".",
                        self._outbox.folder,
                    )
                    since = tried
                self._failures += 1
            else:
                self._failures = 0
                if since is not None:
                    self.away_s += time.monotonic() - since
                    logger.warning("MLflow at %s answers again; what waited is sent", self._where)
                return True
            if not self._stop.is_set() and self._hurry.wait(pause):
                self._hurry.clear()
                self._stop.wait(min(pause, 0.5))
            if self._stop.is_set():
                self.away_s += time.monotonic() - since
                return False
            pause = min(2 * pause, _LONGEST_PAUSE_S)
