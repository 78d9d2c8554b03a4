"""Checkpoints of trials that have not ended, in each kind of storage.

A worker loads and saves, the driver drops and copies. `KeptInFolder` is a folder that both have,
`KeptInStore` objects that both reach; without shared storage workers send them to the driver's
folder, see `tune.trial.keeper`.
"""

import io
import logging
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from hbpr.errors import HbprError
from hbpr.files import fresh_folder
from hbpr.places import Place
from hbpr.tracking.records import TrialRecord
from tune.storage.checkpoints import checkpoint_at, copy_checkpoint, newest_checkpoint, trial_folder

logger = logging.getLogger(__name__)

#: Reads or writes a checkpoint in a folder.
Use = Callable[[Path], None]
#: Seconds for which a checkpoint stays after a newer one is there: the store's copy of the journal
#: may not know the newer one's report yet, and then a driver that takes over goes by the older.
STAYS_S: Final = 15.0
_AT_A_TIME: Final = 16


class Checkpoints(Protocol):
    """What a worker does with its trials' checkpoints."""

    def load(self, number: int, use: Use) -> bool:
        """Read the newest checkpoint of a trial; return False where there is none."""

    def save(self, number: int, epoch: int, use: Use) -> None:
        """Write a checkpoint, whole or not at all, and let older ones go."""


class DriverCheckpoints(Checkpoints, Protocol):
    """What the driver does with them besides."""

    def drop(self, *numbers: int) -> None:
        """Remove what trials that ended have left."""

    def copy(self, parent: int, epoch: int, number: int) -> None:
        """Put a trial's checkpoint of an epoch where a new trial looks for its own."""


class KeptInFolder:
    """Checkpoints in a folder that every node has at the same path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, number: int, use: Use) -> bool:
        """Read the newest checkpoint of a trial; return False where there is none."""
        saved = newest_checkpoint(trial_folder(self.folder, number))
        if saved is not None:
            use(saved)
        return saved is not None

    def save(self, number: int, epoch: int, use: Use) -> None:
        """Write a checkpoint, and drop the one before."""
        folder = trial_folder(self.folder, number)
        target = checkpoint_at(folder, epoch)
        if not target.exists():
            with fresh_folder(target) as fresh:
                use(fresh)
        for other in folder.iterdir():
            if other != target:
                shutil.rmtree(other, ignore_errors=True)

    def drop(self, *numbers: int) -> None:
        """Remove what trials that ended have left."""
        for number in numbers:
            shutil.rmtree(trial_folder(self.folder, number), ignore_errors=True)

    def copy(self, parent: int, epoch: int, number: int) -> None:
        """Put a trial's checkpoint of an epoch where a new trial looks for its own."""
        copy_checkpoint(self.folder, parent, epoch, number)


class KeptInStore:
    """Checkpoints as objects, a folder a sitting: ``checkpoints/00003/trial-00007/epoch-…``.

    A worker opens the store with the credentials of its own node. A store that is away costs no
    trial: its checkpoint is missed, which is logged.

    Args:
        url: Address of the sitting's folder.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._place: Place | None = None
        self._saved: dict[int, list[tuple[int, float]]] = {}

    def __getstate__(self) -> dict[str, str]:
        """Travel as an address: nothing that knows a secret goes along."""
        return {"url": self.url}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    def load(self, number: int, use: Use) -> bool:
        """Read the newest whole checkpoint of a trial; return False where there is none."""
        folder = self._folder(number)
        epochs = sorted(map(_epoch, folder.names()))
        self._saved = {number: [(epoch, time.monotonic()) for epoch in epochs]}
        for epoch in reversed(epochs):
            content = (folder / _name(epoch)).read_if_there()
            if content is not None and used(content, use):
                return True
            logger.warning("%s/%s is not whole and is passed over", folder.told, _name(epoch))
        return False

    def save(self, number: int, epoch: int, use: Use) -> None:
        """Write a checkpoint, and remove those that another has followed for long enough."""
        folder, now = self._folder(number), time.monotonic()
        saved = self._saved.setdefault(number, [])
        if any(known == epoch for known, _ in saved):
            return
        try:
            (folder / _name(epoch)).write(packed(use))
            saved.append((epoch, now))
            while len(saved) > 1 and now - saved[1][1] > STAYS_S:
                (folder / _name(saved.pop(0)[0])).remove()
        except HbprError as error:
            logger.warning("the checkpoint of trial %d is missed: %s", number, error)

    def drop(self, *numbers: int) -> None:
        """Remove what trials that ended have left: most have nothing, so one list is enough."""
        above = self._opened()
        ended = {trial_folder(Path(), number).name for number in numbers}
        for path in above.files_below():
            if path.partition("/")[0] in ended:
                (above / path).remove()

    def copy(self, parent: int, epoch: int, number: int) -> None:
        """Put a trial's checkpoint of an epoch where a new trial looks for its own."""
        self.drop(number)
        source = self._folder(parent) / _name(epoch)
        source.copy_to(self._folder(number) / _name(epoch))

    def _folder(self, number: int) -> Place:
        return self._opened() / trial_folder(Path(), number).name

    def _opened(self) -> Place:
        if self._place is None:
            self._place = Place.of(self.url)
        return self._place


def take_over(above: Place, term: int, trials: Sequence[TrialRecord]) -> None:
    """Give a new sitting the checkpoints that its trials go on from, and remove all others.

    A checkpoint that is ahead of the journal is none to go on from: what the trial reported on the
    way there is lost, and the searcher and the scheduler have to hear it.

    Args:
        above: Place of the study's checkpoints.
        term: Number of the new sitting.
        trials: What the journal knows.
    """
    known = {
        trial.number: max([*trial.reports, 0 if trial.parent is None else trial.parent.epoch, 0])
        for trial in trials
        if trial.state == "RUNNING"
    }
    best: dict[int, tuple[int, str]] = {}
    found = above.files_below()
    for path in found:
        _, trial, name = path.split("/")
        number, epoch = int(trial.rpartition("-")[2]), _epoch(name)
        if number in known and best.get(number, (0, ""))[0] <= epoch <= known[number]:
            best[number] = epoch, path
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        copies = []
        for number, (epoch, path) in best.items():
            target = above / f"{term:05d}" / trial_folder(Path(), number).name / _name(epoch)
            copies.append(pool.submit((above / path).copy_to, target))
        for copy in copies:  # all are there before one is removed
            copy.result()
        for path in found:
            pool.submit((above / path).remove)


def packed(use: Use) -> bytes:
    """Return as one archive what is written into a folder; its end tells that it is whole."""
    with tempfile.TemporaryDirectory(prefix="hbpr-checkpoint-") as folder:
        use(Path(folder))
        return pack(Path(folder))


def pack(folder: Path) -> bytes:
    """Return the files of a folder as one archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return buffer.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive into a folder.

    Raises:
        zipfile.BadZipFile: It is not whole.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def used(content: bytes, use: Use) -> bool:
    """Let `use` read what `packed` returned; return False where the archive is not whole."""
    with tempfile.TemporaryDirectory(prefix="hbpr-checkpoint-") as folder:
        try:
            unpack(content, Path(folder))
        except zipfile.BadZipFile:
            return False
        use(Path(folder))
        return True


def _name(epoch: int) -> str:
    return checkpoint_at(Path(), epoch).name


def _epoch(name: str) -> int:
    return int(name.rpartition("-")[2])
