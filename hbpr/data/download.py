"""Find a published dataset on this machine, or fetch its zip and unpack it.

A dataset lies unpacked in ``HOME/NAME``; HOME is ``$HBPR_DATA_HOME`` or hbpr's folder in the user's
cache. What is fetched is checked against the published MD5 before it is unpacked.
"""

import hashlib
import logging
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from hbpr.data.fetch import FetchError, fetch, read_text
from hbpr.errors import DataError, DatasetMissingError
from hbpr.files import fresh_file

_log = logging.getLogger(__name__)

ENV_HOME: Final = "HBPR_DATA_HOME"


def data_home(chosen: str | Path | None = None) -> Path:
    """Folder of the datasets: as chosen, else ``$HBPR_DATA_HOME``, else in the user's cache."""
    chosen = chosen if chosen is not None else os.environ.get(ENV_HOME) or None
    if chosen is not None:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "hbpr" / "data"


def find_or_fetch(
    name: str,
    home: Path,
    *,
    folders: Sequence[str],
    files: Sequence[str],
    url: str,
    md5: str | None,
) -> Path:
    """Return the folder of a complete unpacked copy, fetching and unpacking it if needed.

    A zip that lies in `home` already is unpacked, if it is not broken, instead of fetched.

    Args:
        name: Name of the dataset, and of its folder in `home`.
        home: Folder that holds the datasets; made once something arrives.
        folders: Folders in `home` where a copy may lie.
        files: Files that make a copy complete.
        url: Where the zip is published.
        md5: Its published checksum; None: read it from the publisher's ``URL.md5``.

    Raises:
        DatasetMissingError: There is no copy and it could not be fetched; the message says what
            to get from where, and where to put it.
        DataError: The zip does not hold the dataset.
    """
    for folder in folders:
        if all((home / folder / file).is_file() for file in files):
            return home / folder
    archive, target = home / f"{name}.zip", home / name
    known = home.is_dir()
    if not known and os.environ.get(ENV_HOME):
        _log.warning("there is no folder %s (%s); it is made for %s", home, ENV_HOME, name)
    try:
        _provide(archive, url, md5)
        unpack(archive, target)
        archive.unlink()
    except (FetchError, OSError) as error:
        raise DatasetMissingError(
            f"{name}: not found in {target}{'' if known else f' (there is no folder {home})'} and "
            f"could not be fetched: {error}. "
            f"Get {url} and put it at {archive}, or unpack it so that {target} holds "
            f"{', '.join(files)}. Set {ENV_HOME} to look in another folder."
        ) from error
    missing = [file for file in files if not (target / file).is_file()]
    if missing:
        raise DataError(f"{name}: the zip from {url} does not hold {', '.join(missing)}")
    return target


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip into `target`, leaving out the one folder that it is wrapped in.

    A file appears in `target` only once it is complete; other files there stay.

    Raises:
        DataError: It is no zip, it is broken, or an entry points outside of `target`.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as contents:
            for entry in contents.infolist():
                path = PurePosixPath(entry.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                    raise DataError(f"{archive}: refused the unsafe path {entry.filename!r}")
                if entry.is_dir():
                    continue
                place = target.joinpath(*(path.parts[1:] or path.parts))
                place.parent.mkdir(parents=True, exist_ok=True)
                with (
                    fresh_file(place) as partial,
                    contents.open(entry) as source,
                    partial.open("wb") as sink,
                ):
                    shutil.copyfileobj(source, sink, 1 << 20)
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive}: not a complete zip file ({error}). Remove it.") from error


def _provide(archive: Path, url: str, md5: str | None) -> None:
    """Leave a checked zip at `archive`."""
    if archive.is_file() and md5 is None and zipfile.is_zipfile(archive):
        _log.info("%s: its checksum changes with the release, so it is taken as it is", archive)
        return
    if md5 is None:
        md5 = _published_md5(url)
    if archive.is_file():
        found = _md5(archive)
        if found == md5:
            return
        _log.warning("%s: MD5 is %s, published is %s: fetched again", archive, found, md5)
    for last in (False, True):
        fetch(url, archive)
        found = _md5(archive)
        if found == md5:
            return
        archive.unlink()
        if last:
            raise FetchError(f"{url}: MD5 is {found}, published is {md5}")
        _log.warning("%s: MD5 is %s, published is %s: fetched again", url, found, md5)


def _published_md5(url: str) -> str:
    """The checksum in ``URL.md5``, which is in BSD or GNU style."""
    text = read_text(f"{url}.md5")
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if match is None:
        raise FetchError(f"{url}.md5: holds no MD5 checksum, got {text[:60]!r}")
    return match.group().lower()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
