"""Tables of this machine on their way to a cluster: what its head has, and what goes to it.

They go to the place of the studies, under a checksum of their content, so that many jobs share one
copy: ``STORAGE/.data/CHECKSUM/FILE``.
"""

import hashlib
import json
import shlex
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from hbpr.data.table_files import Part, files_of, key_folders
from hbpr.errors import ClusterError, ConfigError, HbprError
from hbpr.files import fresh_file
from hbpr.places import Place, is_url

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

#: Folder of the uploaded tables, in the storage of the studies; no experiment has such a name.
FOLDER: Final = ".data"
#: Beside the files of a table that has arrived whole.
_WHOLE: Final = ".whole"
_BLOCK_BYTES: Final = 8 * 2**20
_MARK: Final = "files that the head lacks: "
#: What the head runs: Python is all that it needs.
_LOOK: Final = f"""
import glob, json, os, sys
lacks = [p for p in sys.argv[1:] if not glob.glob(os.path.expanduser(p), recursive=True)
         and not os.path.exists(os.path.expanduser(p))]
sys.stdout.write({_MARK!r} + json.dumps(lacks))
"""


def is_local(path: str) -> bool:
    """Tell a path of some machine from an address such as ``s3://bucket/key``."""
    return not is_url(path) or path.startswith("file://")


def head_lacks(
    client: "JobSubmissionClient", paths: Sequence[str], *, timeout_s: float = 60.0
) -> list[str]:
    """Ask the head of a cluster which of some files, folders or patterns it does not have.

    A tiny job looks, since Ray's dashboard tells nothing of files; nothing is uploaded for it.

    Args:
        client: Of the cluster.
        paths: As the head would read them.
        timeout_s: Seconds that the head has to answer.

    Raises:
        ClusterError: It did not answer.
    """
    job = f"hbpr-look-{uuid.uuid4().hex[:12]}"
    client.submit_job(
        entrypoint=shlex.join(["python", "-c", _LOOK, *paths]),
        submission_id=job,
        metadata={"job_name": "hbpr submit: which files are here?"},
    )
    until = time.monotonic() + timeout_s
    while not client.get_job_status(job).is_terminal() and time.monotonic() < until:
        time.sleep(0.1)
    log = client.get_job_logs(job)
    lines = [line for line in log.splitlines() if line.startswith(_MARK)]
    if not client.get_job_status(job).is_terminal():
        client.stop_job(job)
        raise ClusterError(f"the head did not say within {timeout_s:g} s which files it has")
    client.delete_job(job)
    if not lines:
        last = (log.strip().splitlines() or ["no output"])[-1]
        raise ClusterError(f"the head could not say which files it has: {last}")
    found: list[str] = json.loads(lines[-1].removeprefix(_MARK))
    return found


class Uploaded(NamedTuple):
    """A table at its new place: the path to read it by, its size, and whether it was there."""

    path: str
    n_bytes: int
    was_there: bool


def upload(path: str, storage: str) -> Uploaded:
    """Copy what a path names into the storage of the studies, unless the same content is there.

    Args:
        path: File, folder or pattern of this machine.
        storage: A folder that this machine and the cluster share, or an address on an object store.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: The files cannot be listed.
        ConfigError: The storage cannot be written.
    """
    parts = files_of(path)
    names = _names(parts)
    total, n_bytes = hashlib.sha256(), 0
    for name, part in zip(names, parts, strict=True):
        with part.open() as file:
            content = hashlib.sha256()
            while block := file.read(_BLOCK_BYTES):
                content.update(block)
                n_bytes += len(block)
        total.update(f"{name}\0{content.hexdigest()}\n".encode())
    new = f"{storage.rstrip('/')}/{FOLDER}/{total.hexdigest()[:32]}"
    place = _usable(storage) / FOLDER / total.hexdigest()[:32]
    try:
        was_there = (place / _WHOLE).exists()
        if not was_there:
            for name, part in zip(names, parts, strict=True):
                _put(Path(part.path), place / name)
            (place / _WHOLE).write(b"")
    except HbprError as error:
        raise ConfigError(f"--upload-data: sweep.storage cannot be written: {error}") from error
    return Uploaded(new if "/" in names[0] else f"{new}/{names[0]}", n_bytes, was_there)


def _names(parts: Sequence[Part]) -> list[str]:
    """Return names below one folder: numbers keep the order, KEY=VALUE folders are columns."""
    if len(parts) == 1 and not parts[0].keys:
        return [PurePosixPath(parts[0].path).name]
    return [
        "/".join([f"{k:06d}", *key_folders(part.keys), PurePosixPath(part.path).name])
        for k, part in enumerate(parts)
    ]


def _usable(storage: str) -> Place:
    """Return the place of the storage, if this machine can have it.

    Raises:
        ConfigError: It is a folder that is not here, or a store that cannot be reached.
    """
    place = Place.of(storage.removeprefix("file://"))
    if place.is_local and not any(Path(p).is_dir() for p in (place.path, Path(place.path).parent)):
        raise ConfigError(
            f"--upload-data: sweep.storage {storage} is not a folder of this machine. Mount the "
            "folder that the cluster shares, or give an object store: --set "
            "sweep.storage=s3://BUCKET/studies; or put the data there by hand"
        )
    return place


def _put(source: Path, target: Place) -> None:
    """Write a file that is there whole or not at all."""
    if not target.is_local:
        target.upload(source)  # an object appears when all of it has arrived
        return
    try:
        Path(target.path).parent.mkdir(parents=True, exist_ok=True)
        with fresh_file(Path(target.path)) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise HbprError(f"{target.told}: {error.strerror or error}") from error
