"""A study from an object store, brought to a folder of this machine."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hbpr.errors import HbprError, StudyFolderError
from hbpr.places import Place, is_url
from tune.storage import names
from tune.storage.folder import StudyFolder
from tune.storage.lease import LEASE
from tune.storage.mirror import GROWING
from tune.storage.segments import BEGINS, LOG, Piece, Segment, chain
from tune.storage.where import split_address

#: What of a study is enough to say what it is and how it ended.
_SMALL: Final = (
    names.SETTINGS,
    names.SUMMARY,
    names.SUMMARY_BEFORE,
    names.SUMMARY_TEXT,
    names.SPENT,
)
_AT_A_TIME: Final = 16


def bring(place: Place, into: Path, *, small: bool = False) -> None:
    """Bring a study to a folder, in place of what is there; its checkpoints stay where they are.

    Args:
        place: The study's place in the store.
        into: Becomes the study's folder.
        small: Neither the model nor data nor repeats.

    Raises:
        StudyFolderError: There is no study.
        HbprError: The store cannot be read.
    """
    for tries_left in (3, 2, 1, 0):
        try:
            _bring(place, into, small=small)
        except HbprError as error:  # a driver that runs merges segments, and removes them
            if not (tries_left and isinstance(error.__cause__, FileNotFoundError)):
                raise
        else:
            return


def _bring(place: Place, into: Path, *, small: bool) -> None:
    found = place.files_below()
    if names.SETTINGS not in found:
        raise StudyFolderError(
            f"{place.told}: there is no study. Name one by STORAGE/EXPERIMENT/STUDY; "
            f"hbpr study list --storage STORAGE shows them"
        )
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    whole = [path for path in found if path.partition("/")[0] not in _OF_THE_STORE]
    if small:
        whole = [path for path in whole if path in _SMALL]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for _ in pool.map(lambda path: (place / path).download(into / path), whole):
            pass
    begins = read_begins(place, found)
    for name in GROWING if not small else GROWING[:1]:
        content = _joined(place, name, pieces_of(found, name, begins))
        if content:
            (into / name).parent.mkdir(exist_ok=True)
            (into / name).write_bytes(content)


_OF_THE_STORE: Final = (LOG, LEASE, names.CHECKPOINTS)


def read_begins(place: Place, found: Sequence[str]) -> dict[int, dict[str, int]]:
    """Return, of each sitting of a study, the lengths of the files that it took over."""
    begins = {}
    for path in found:
        room, _, rest = path.partition("/")
        term, _, name = rest.partition("/")
        if room == LOG and name == BEGINS and term.isdecimal():
            begins[int(term)] = dict(json.loads((place / path).read()))
    return begins


def pieces_of(found: Sequence[str], name: str, begins: dict[int, dict[str, int]]) -> list[Piece]:
    """Return what makes up a file that grows, by the names of the objects that are there."""
    segments = []
    for path in found:
        parts = path.split("/", 2)
        if parts[0] != LOG or len(parts) < 3:
            continue
        above, _, last = parts[2].rpartition("/")
        segment = Segment.read(parts[1], last) if above == name else None
        if segment is not None:
            segments.append(segment)
    return chain(segments, {term: sizes.get(name, 0) for term, sizes in begins.items()})


def _joined(place: Place, name: str, pieces: Sequence[Piece]) -> bytes:
    def read(piece: Piece) -> bytes:
        term = f"{piece.segment.term:05d}"
        content = (place / LOG / term / name / piece.segment.name).read()
        return content[piece.start - piece.segment.start : piece.end - piece.segment.start]

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return b"".join(pool.map(read, pieces))


@contextmanager
def brought(address: str, *, small: bool = False) -> Iterator[StudyFolder]:
    """Have a study of an object store in a folder of this machine while the body runs, to read it.

    Args:
        address: Such as ``s3://bucket/studies/EXPERIMENT/STUDY``.
        small: Neither the model nor data nor repeats.

    Raises:
        StudyFolderError: There is no study.
        HbprError: The store cannot be read.
    """
    storage, experiment, study = split_address(address)
    place = Place.of(f"{storage}/{experiment}/{study}")
    with TemporaryDirectory(prefix="hbpr-read-") as folder:
        into = Path(folder) / experiment / study
        bring(place, into, small=small)
        yield StudyFolder(into, place.told)


@contextmanager
def at_hand(reference: str | Path) -> Iterator[StudyFolder]:
    """Have a study, by its folder or URL, in a folder of this machine to read what it is and says.

    Raises:
        StudyFolderError: There is no study at the URL.
        HbprError: The store cannot be read.
    """
    if not is_url(str(reference)):
        yield StudyFolder(Path(reference).absolute())
        return
    with brought(str(reference), small=True) as study:
        yield study


@contextmanager
def all_brought(storage: str, experiment: str | None = None) -> Iterator[list[StudyFolder]]:
    """Have all studies of an object store, or of one experiment there, in the same way.

    Without models and data; oldest first.
    """
    above = Place.of(storage)
    with TemporaryDirectory(prefix="hbpr-read-") as folder:
        studies = []
        for name in [experiment] if experiment is not None else above.folders():
            for study in (above / name).folders():
                place, into = above / name / study, Path(folder) / name / study
                try:
                    bring(place, into, small=True)
                except StudyFolderError:
                    continue  # a folder of something else
                studies.append(StudyFolder(into, place.told))
        yield sorted(studies, key=lambda each: each.study_id)
