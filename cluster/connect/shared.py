"""Whether every node reaches the storage of a study: a folder, or a place in an object store."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hbpr.errors import ClusterError, HbprError
from hbpr.places import Place, is_url


class Marker(NamedTuple):
    """A file that every node must read, where every node must write; without a path nowhere."""

    path: str
    content: str

    def beside(self, name: str) -> str:
        """Return where a node writes."""
        return f"{self.path}-{name}" if self.path else ""


@contextmanager
def marker_in(storage: str | Path | None) -> Iterator[Marker]:
    """Write a marker into a storage, and remove it with all beside it.

    Args:
        storage: Folder, made if it is missing, or URL; None: nothing is shared.

    Raises:
        ClusterError: This process cannot write there.
    """
    if storage is None:
        yield Marker("", "")
        return
    name = f".preflight-{uuid.uuid4().hex}"
    marker = Marker(f"{storage}/{name}", uuid.uuid4().hex)
    try:
        if not is_url(str(storage)):
            Path(storage).mkdir(parents=True, exist_ok=True)
        _write(marker.path, marker.content)
    except (OSError, HbprError) as error:
        raise ClusterError(
            f"sweep.storage {storage}: this process cannot write there: "
            f"{getattr(error, 'strerror', None) or error}. "
            "Name one that every node can write."
        ) from error
    try:
        yield marker
    finally:
        above = Place.of(str(storage))
        for each in above.names():
            if each.startswith(name):
                (above / each).remove()


def read_and_write(path: str, content: str, own: str) -> str:
    """Read the marker, and write one beside it; return what is wrong, if anything."""
    if not path:
        return ""
    try:
        if _read(path) != content:
            return f"reads another {path}"
        _write(own, content)
    except OSError as error:
        return f"{error.strerror or error}: {error.filename}"
    except HbprError as error:
        return str(error)
    return ""


def appears(own: str) -> bool:
    """Return whether what a node wrote is there."""
    return not own or Place.of(own).exists()


def next_step(problem: str) -> str:
    """Return what to do about a storage that a node does not reach."""
    if is_url(problem):
        return (
            "Every node needs the credentials of the store, and AWS_ENDPOINT_URL where it is not "
            "Amazon's, in its environment before Ray is started there, or a role."
        )
    return "sweep.storage must be one folder that every node shares, such as an NFS mount."


def _read(path: str) -> str:
    return Place.of(path).read().decode() if is_url(path) else Path(path).read_text()


def _write(path: str, content: str) -> None:
    if is_url(path):
        Place.of(path).write(content.encode())
    else:
        Path(path).write_text(content)
