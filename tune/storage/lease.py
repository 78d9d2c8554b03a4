"""The lease on a study in an object store: one driver at a time has it.

It is an object that its holder writes anew every few seconds. One that has not changed for a while
is that of a driver that is gone: the next one takes it and counts the study's sittings (`term`) up.
Clocks of machines are compared nowhere: each counts the seconds for which it saw no change.
"""

import json
import logging
import os
import secrets
import socket
import threading
import time
from datetime import datetime
from typing import Any, Final

from hbpr.errors import HbprError, StudyError
from hbpr.places import Place
from tune.storage.conditional import Conditional

logger = logging.getLogger(__name__)

#: Its name in a study's place.
LEASE: Final = "lease.json"
#: Seconds without a renewal after which a lease may be taken, and seconds between renewals.
TERM_S: Final = 20.0
RENEW_S: Final = 4.0


class Lease:
    """A lease that this process holds; a thread renews it until it is released.

    Attributes:
        term: Number of this sitting of the study, from 1 on.
        lost: Who took it, in words; None while nobody has.
    """

    def __init__(
        self, thing: Conditional, told: str, mine: dict[str, Any], tag: str, sure_until: float
    ) -> None:
        self.term: int = mine["term"]
        self.lost: str | None = None
        self._thing, self._told, self._mine, self._tag = thing, told, mine, tag
        self._sure_until = sure_until
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="hbpr-lease", daemon=True)
        self._thread.start()

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have it at this moment."""
        return self.lost is None and time.monotonic() < self._sure_until

    def check(self) -> None:
        """Make sure that this process still has it; ask the store where that is not certain.

        Raises:
            StudyError: Another process has it.
            HbprError: The store does not answer.
        """
        if not self.is_sure and self.lost is None:
            self._renew()
        if self.lost is not None:
            raise StudyError(lost_words(self._told, self.lost))

    def release(self) -> None:
        """Let the next driver have it at once."""
        self._stop.set()
        self._thread.join(TERM_S)
        if self.lost is not None:
            return
        try:
            with self._lock:
                free = {"term": self.term, "owner": "", "until": 0, "id": secrets.token_hex(8)}
                self._thing.replace(_text(free), self._tag)
        except HbprError as error:
            logger.warning("%s is not released, and runs out by itself: %s", self._told, error)

    def _keep(self) -> None:
        away = False
        while not self._stop.wait(RENEW_S) and self.lost is None:
            try:
                self._renew()
            except HbprError as error:
                if not away:
                    logger.warning("the lease on %s cannot be renewed now: %s", self._told, error)
                away = True
            else:
                away = False

    def _renew(self) -> None:
        with self._lock:
            if self.lost is not None:
                return
            began = time.monotonic()
            self._mine = _renewed(self._mine)
            tag = self._thing.replace(_text(self._mine), self._tag)
            if tag is None:
                found = self._thing.read()
                content = _read(found)
                if found is not None and content.get("id") == self._mine["id"]:
                    tag = found[1]  # it was written, and its answer was lost
                else:
                    self.lost = str(content.get("owner") or "nobody")
                    logger.error(lost_words(self._told, self.lost))
                    return
            self._tag, self._sure_until = tag, began + TERM_S


def take(thing: Conditional, told: str, *, term_s: float = TERM_S, look_s: float = 0.5) -> Lease:
    """Take the lease on a study.

    Where another has it, this waits until that one renews it, or has not done so for `term_s`.

    Args:
        thing: The object.
        told: The address of the study, for messages.
        term_s: Seconds for which a lease holds that is not renewed.
        look_s: Seconds between two looks.

    Raises:
        StudyError: Another process has it, and is alive.
        HbprError: The store does not answer.
    """
    waited_for: str | None = None
    since = time.monotonic()
    while True:
        began = time.monotonic()
        found = thing.read()
        held = _read(found)
        tag = None if found is None else found[1]
        if held.get("owner") and tag != waited_for:
            if waited_for is not None:
                raise StudyError(_held_words(told, held))
            waited_for, since = tag, began
        if held.get("owner") and began - since < term_s:
            time.sleep(look_s)
            continue
        mine = _renewed({"term": int(held.get("term", 0)) + 1, "owner": _owner()})
        new = thing.replace(_text(mine), tag)
        if new is not None:
            return Lease(thing, told, mine, new, began + term_s)


def seems_held(place: Place) -> bool:
    """Return whether a driver seems to run the study at a place, by this machine's clock."""
    content = (place / LEASE).read_if_there()
    held = _read(None if content is None else (content, ""))
    return bool(held.get("owner")) and float(held.get("until", 0)) > time.time()


def lost_words(told: str, to: str) -> str:
    """Say that a driver lost its study."""
    return (
        f"study {told}: another driver went on with it ({to}), since this one could not renew its "
        "lease in time; this one stops, and what it did since is not in the store"
    )


def _held_words(told: str, held: dict[str, Any]) -> str:
    return (
        f"study {told}: another driver runs it: {_by(held)}, and renews that. Wait until it has "
        "ended, or stop it"
    )


def _by(held: dict[str, Any]) -> str:
    until = datetime.fromtimestamp(float(held.get("until", 0))).astimezone()
    return f"{held.get('owner')} has its lease until {until:%Y-%m-%d %H:%M:%S %z}"


def _owner() -> str:
    job = os.environ.get("RAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {socket.gethostname()}" + (f", job {job}" if job else "")


def _renewed(mine: dict[str, Any]) -> dict[str, Any]:
    return mine | {"until": round(time.time() + TERM_S, 3), "id": secrets.token_hex(8)}


def _text(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _read(found: tuple[bytes, str] | None) -> dict[str, Any]:
    try:
        content = json.loads(found[0]) if found is not None else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
