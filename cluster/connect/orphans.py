"""Ray's temporary folders that a killed driver's processes left, once nothing uses them.

The next driver removes a killed one's folder by its lock. Ray's processes may outlive the driver
for a while and make the folder anew, without a lock: it goes when nobody uses it.
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

#: What `tempfile.mkdtemp` puts behind a prefix.
_RANDOM: Final = re.compile(r"[a-z0-9_]{8}")
#: All that such a folder holds; with anything else in it, somebody made it for something else.
_OURS: Final = frozenset({"ray", "token"})
#: A Ray that runs writes logs every few minutes; so this also covers processes that cannot be seen
#: from here, such as those of another container with the same folder.
UNTOUCHED_S: Final = 24 * 3600.0


def sweep_orphans(base: str, prefix: str, *, untouched_s: float = UNTOUCHED_S) -> list[Path]:
    """Remove folders of Ray without a driver's lock that nothing uses any more.

    A folder is removed if it has a name of ours, belongs to this user, holds nothing but Ray's
    sessions, was not touched for long, and no living process names it in its command or
    environment, works in it or has a file or socket of it open. In doubt it stays.

    Args:
        base: Folder of the temporary folders.
        prefix: What the names of ours begin with.
        untouched_s: Seconds since anything in it changed.

    Returns:
        The folders that were removed.
    """
    before = time.time() - untouched_s
    found = [
        folder
        for folder in Path(base).glob(f"{prefix}*")
        if _RANDOM.fullmatch(folder.name.removeprefix(prefix)) and _is_old_orphan(folder, before)
    ]
    if not found:
        return []
    used = list(_used_by_processes())
    removed = []
    for folder in found:
        if not any(path in text for path in {str(folder), str(folder.resolve())} for text in used):
            shutil.rmtree(folder, ignore_errors=True)
            logger.info("removed %s, left by processes of a driver that was killed", folder)
            removed.append(folder)
    return removed


def _is_old_orphan(folder: Path, before: float) -> bool:
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        names = {entry.name for entry in folder.iterdir()}
        if "ray" not in names or not names <= _OURS:
            return False
        sessions = list((folder / "ray").glob("session_*"))
        return bool(sessions) and _last_change(folder) < before
    except OSError:
        return False  # no folder, just being removed, or not for us to see


def _last_change(folder: Path) -> float:
    """Return when the last change was, of the folder or anything in it.

    Raises:
        OSError: Something in it cannot be looked at.
    """

    def refuse(error: OSError) -> None:
        raise error

    latest = folder.lstat().st_mtime
    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *files):
            latest = max(latest, os.lstat(os.path.join(place, name)).st_mtime)
    return latest


def _used_by_processes() -> Iterator[str]:
    """Yield texts with the paths that living processes of this user name or have open.

    Ray's agents write another name over their command, but keep their logs open. What cannot be
    looked into, mostly other users' processes, yields nothing.
    """
    import psutil  # type: ignore[import-untyped]  # Ray's own copy

    for process in psutil.process_iter():
        looks = (
            lambda p=process: p.cmdline(),
            lambda p=process: p.environ().values(),
            lambda p=process: [p.cwd()],
            lambda p=process: [file.path for file in p.open_files()],
            lambda p=process: [str(c.laddr) for c in p.net_connections(kind="unix")],
        )
        for look in looks:
            try:
                yield from look()
            except (psutil.Error, OSError):
                logger.debug("process %d has ended, or is another user's", process.pid)
