"""Where studies are kept, as ``sweep.storage`` says: a folder, an object store, or the driver.

In an object store and in a folder a study has the same address, STORAGE/EXPERIMENT/STUDY.
"""

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from hbpr.errors import ConfigError
from hbpr.names import folder_name
from hbpr.places import check_url, is_url
from tune.settings import StudySettings

#: The word for: no shared storage at all.
DRIVER: Final = "driver"


def is_store(storage: str) -> bool:
    """Return whether studies are kept in an object store."""
    return is_url(storage)


def shared_place(settings: StudySettings) -> str | None:
    """Return what every node must reach, a folder or a URL; None: nothing."""
    return None if settings.sweep.storage == DRIVER else experiment_address(settings)


def study_address(settings: StudySettings, study_id: str) -> str:
    """Return the address of a study: an absolute path, or a URL."""
    return f"{experiment_address(settings)}/{study_id}"


def experiment_address(settings: StudySettings) -> str:
    """Return what all addresses of an experiment's studies begin with."""
    storage = settings.sweep.storage
    if is_store(storage):
        return f"{storage.rstrip('/')}/{experiment_name(settings)}"
    return str(root_of(storage) / experiment_name(settings))


def experiment_name(settings: StudySettings) -> str:
    """Return the name of the folder of an experiment."""
    return folder_name(settings.mlflow.experiment_name, ".+-", "study")


def experiment_folder(settings: StudySettings) -> Path:
    """Return the absolute folder on this machine in which an experiment's studies work.

    Of an object store that is a folder of this user's, which holds a study only while it runs.
    """
    return root_of(settings.sweep.storage) / experiment_name(settings)


def split_address(address: str) -> tuple[str, str, str]:
    """Return storage, experiment and study of the address of a study in an object store.

    Raises:
        ConfigError: It is none.
    """
    check_url(address)
    parts = address.rstrip("/").rsplit("/", 2)
    if len(parts) < 3 or parts[0].endswith(("/", ":")):
        raise ConfigError(f"{address}: expected the address of a study, STORAGE/EXPERIMENT/STUDY")
    return parts[0], parts[1], parts[2]


def root_of(storage: str) -> Path:
    """Return the folder on this machine below which experiments have theirs."""
    if storage == DRIVER:
        above = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(above) / "hbpr" / "studies"
    if is_store(storage):
        name = sha256(storage.rstrip("/").encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"hbpr-studies-{os.getuid()}" / name
    return Path(storage).absolute()
