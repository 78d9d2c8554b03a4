"""Data that a study was given in memory, kept in its folder so that the study can go on."""

import logging
from pathlib import Path
from typing import Final

from hbpr.data.interactions import Interactions
from hbpr.errors import DataError, StudyFolderError
from hbpr.inference.folder import read_folder, write_folder
from hbpr.inference.packing import pack, unpack
from tune.storage.folder import StudyFolder, stored_settings

logger = logging.getLogger(__name__)

#: Larger data are not kept; who goes on with the study gives them again.
MOST_BYTES: Final = 2**30
#: Key of data in memory, which serve every trial, beside the fingerprints of a study.
IN_MEMORY: Final = ""


def keep(folder: StudyFolder, data: Interactions, n_bytes: int) -> None:
    """Write data into the folder of a new study, unless they are too large or cannot be written.

    Args:
        folder: The study's.
        data: What it was given.
        n_bytes: Their size.
    """
    if n_bytes > MOST_BYTES:
        logger.info("%s: %d MiB of data are not kept in the folder", data.name, n_bytes >> 20)
        return
    try:
        arrays, about = pack(data)
    except DataError as error:  # ids that only memory can hold
        logger.info("%s: the data are not kept in the folder: %s", data.name, error)
        return
    write_folder(folder.data, arrays, {"data": about})


def was_in_memory(path: Path) -> bool:
    """Return whether a study was given its data in memory.

    Raises:
        StudyFolderError: The path is not the folder of a study.
    """
    _, fingerprints = stored_settings(path, str(path))
    return set(fingerprints) == {IN_MEMORY}


def read(path: Path) -> Interactions | None:
    """Return the data that a study was given in memory; None where settings name their source.

    Raises:
        StudyFolderError: They are not in the folder any more, or cannot be read.
    """
    folder = StudyFolder(path.absolute())
    if not was_in_memory(path):
        return None
    how = (
        "give them again from Python: "
        f"hbpr.Study.load({str(path)!r}).resume(data=...) with the same data, split the same way"
    )
    if not folder.data.is_dir():
        raise StudyFolderError(
            f"{path}: the data of this study were given in memory and are not in its folder; {how}"
        )
    try:
        arrays, about = read_folder(folder.data)
        return unpack(arrays, about["data"])
    except (DataError, KeyError, ValueError) as error:
        raise StudyFolderError(
            f"{path}: the data of this study were given in memory, and what its folder keeps of "
            f"them cannot be read ({error}); {how}"
        ) from error
