"""The storage of a study that this process runs: the folder that it works in, and what is behind.

For a folder there is nothing behind. For an object store that is the lease, the mirror, and what
was brought down; the folder then is one of this machine, and is gone afterwards.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbpr.errors import ConfigError, HbprError, StudyError
from hbpr.places import Place, is_url
from tune.settings import StudyPlan
from tune.storage import names
from tune.storage.bring import bring
from tune.storage.conditional import conditional
from tune.storage.folder import StudyFolder, new_id
from tune.storage.kept import DriverCheckpoints, KeptInFolder, KeptInStore, take_over
from tune.storage.lease import LEASE, take
from tune.storage.mirror import Mirror, states_of
from tune.storage.where import (
    DRIVER,
    experiment_address,
    experiment_folder,
    is_store,
    split_address,
    study_address,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """Storage of one study.

    Attributes:
        folder: The study's; a new study's is not made yet.
        resumed: Whether the study is there already.
        kept: Checkpoints, as the driver sees them.
        mirror: Of an object store.
        shared: Whether every node reaches it.
    """

    folder: StudyFolder
    resumed: bool
    kept: DriverCheckpoints
    mirror: Mirror | None = None
    shared: bool = True

    def __getstate__(self) -> dict[str, Any]:
        """Let Tune pack what asks this storage; nothing goes on from what it packs."""
        return {**vars(self), "mirror": None}

    def drop(self, number: int) -> None:
        """Remove the checkpoints of a trial that ended, once the storage knows that it did."""
        if self.mirror is None:
            self.kept.drop(number)
        else:
            self.mirror.ended(number)

    def copy(self, parent: int, epoch: int, number: int) -> None:
        """Put a trial's checkpoint where a new trial looks for its own, all told before."""
        self.flush()
        self.kept.copy(parent, epoch, number)

    def flush(self) -> None:
        """Make sure that the storage has all that the study knows.

        Raises:
            StudyError: Another driver went on with the study.
            HbprError: The store does not answer.
        """
        if self.mirror is not None:
            self.mirror.flush()

    def lost(self) -> str | None:
        """Return why this driver must stop; None while it need not."""
        return None if self.mirror is None else self.mirror.lost


@contextmanager
def opened(
    plan: StudyPlan, resume: str | Path | None = None, study_id: str | None = None
) -> Iterator[Opened]:
    """Open the storage of a study for the process that runs it.

    Args:
        plan: The study's.
        resume: Folder or URL of a study to go on with.
        study_id: Id of a new study; None: a new one.

    Raises:
        StudyError: Another driver runs it.
        StudyFolderError: There is no such study to resume.
        ConfigError: The store cannot be used.
    """
    settings = plan.settings
    if not is_store(settings.sweep.storage):
        if resume is not None and is_url(str(resume)):
            raise ConfigError(
                f"--resume {resume}: sweep.storage is {settings.sweep.storage}, another place"
            )
        path = Path(resume).absolute() if resume is not None else None
        folder = StudyFolder(path or experiment_folder(settings) / (study_id or new_id()))
        kept = KeptInFolder(folder.checkpoints)
        shared = settings.sweep.storage != DRIVER
        yield Opened(folder, resume is not None, kept, shared=shared)
        return
    if resume is not None:
        study_id = _id_of(str(resume), experiment_address(settings))
    study_id = study_id or new_id()
    with _from_store(plan, study_id, resumed=resume is not None) as there:
        yield there


@contextmanager
def _from_store(plan: StudyPlan, study_id: str, *, resumed: bool) -> Iterator[Opened]:
    url = study_address(plan.settings, study_id)
    folder = StudyFolder(experiment_folder(plan.settings) / study_id, url)
    place = _usable(url)
    _private(folder.path.parents[2])
    lease = take(conditional(place / LEASE), url)
    try:
        if resumed:
            bring(place, folder.path)
            from tune.storage.trials import read_journal  # with Optuna

            trials = read_journal(folder.path, plan.space)
            take_over(place / names.CHECKPOINTS, lease.term, trials)
        else:
            shutil.rmtree(folder.path, ignore_errors=True)
        kept = KeptInStore(f"{url}/{names.CHECKPOINTS}/{lease.term:05d}")
        mirror = Mirror(folder.path, place, lease, states_of(folder.path), kept.drop)
        with _closing(mirror, folder):
            yield Opened(folder, resumed, kept, mirror)
    finally:
        lease.release()


@contextmanager
def _closing(mirror: Mirror, folder: StudyFolder) -> Iterator[None]:
    """Bring up what is left at the end, and remove the folder once it is in the store."""
    try:
        yield
    finally:
        if mirror.lost is not None:
            mirror.abandon()
        else:
            try:
                mirror.close()
                if not folder.settings.exists() or folder.finished:
                    _tidy(mirror.place, folder)
                shutil.rmtree(folder.path, ignore_errors=True)
            except (HbprError, OSError) as error:
                logger.error(
                    "%s: what came last could not be brought there (%s); it is in %s",
                    folder.told,
                    error,
                    folder.path,
                )


def _tidy(place: Place, folder: StudyFolder) -> None:
    """Remove what nobody needs: checkpoints of a finished study, all of one that never began."""
    for room in [names.CHECKPOINTS] if folder.finished else [""]:
        above = place / room if room else place
        for path in above.files_below():
            if path != LEASE:
                (above / path).remove()


def _usable(url: str) -> Place:
    """Open a place and try to write there.

    Raises:
        ConfigError: It cannot be reached or written.
    """
    try:
        place = Place.of(url)
        probe = place / f".writable-{os.getpid()}"
        probe.write(b"hbpr")
        probe.remove()
    except HbprError as error:
        raise ConfigError(f"sweep.storage: {error}") from error
    return place


def _private(folder: Path) -> None:
    """Make the folder of this user's studies, which nobody else can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StudyError(f"{folder} belongs to another user; set TMPDIR to a folder of yours")


def _id_of(address: str, experiment: str) -> str:
    """Return the id of a study by its address, which must be one of the experiment's."""
    if not is_url(address):
        raise ConfigError(
            f"--resume {address}: sweep.storage is an object store; name the study by its URL, "
            f"{experiment}/STUDY"
        )
    storage, name, study_id = split_address(address)
    if f"{storage}/{name}" != experiment:
        raise ConfigError(
            f"--resume {address}: sweep.storage and the experiment of the settings name another "
            f"place: {experiment}/{study_id}"
        )
    return study_id
