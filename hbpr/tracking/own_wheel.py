"""The running hbpr as a wheel, so that a logged model brings the program that reads it.

A wheel is a zip of the packages and a folder that describes them (PEP 427). It is written from the
files that run, whether hbpr was installed from a wheel, from a checkout or not at all.
"""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from hbpr.version import __version__

_PACKAGES: Final = ("hbpr", "tune", "cluster", "dashboards")
_ROOT: Final = Path(__file__).parents[2]
_KEPT: Final = frozenset(
    {".py", ".yaml", ".yml", ".html", ".json", ".typed", ".css", ".js", ".sh", ".gz", ".j2"}
    | {".LICENSE"}
)
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: hbpr\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
#: The earliest time that a zip can hold: the same files give the same bytes.
_TIME: Final = (1980, 1, 1, 0, 0, 0)


def write_wheel(folder: Path) -> Path | None:
    """Write the wheel of the running hbpr.

    Args:
        folder: Where to; it exists.

    Returns:
        The file; None where nothing says what hbpr requires, as in a checkout that was never
        installed.
    """
    described = _described()
    if described is None:
        return None
    about = f"hbpr-{__version__}.dist-info"
    target = folder / f"hbpr-{__version__}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_files(), *((f"{about}/{key}", it) for key, it in described)):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            wheel.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{name},sha256={digest.decode()},{len(content)}\n")
        record.append(f"{about}/RECORD,,\n")
        wheel.writestr(zipfile.ZipInfo(f"{about}/RECORD", _TIME), "".join(record))
    return target


def _described() -> list[tuple[str, bytes]] | None:
    """Return the files that describe the installed hbpr."""
    try:
        installed = distribution("hbpr")
    except PackageNotFoundError:
        return None
    # In a checkout that is the working folder, its egg-info is found first.
    metadata = installed.read_text("METADATA") or installed.read_text("PKG-INFO")
    if not metadata:
        return None
    points = installed.read_text("entry_points.txt") or ""
    texts = {"METADATA": metadata, "entry_points.txt": points, "WHEEL": _WHEEL}
    return [(name, text.encode()) for name, text in texts.items() if text]


def _files() -> Iterator[tuple[str, bytes]]:
    for package in _PACKAGES:
        for folder, below, names in os.walk(_ROOT / package, followlinks=True):
            below.sort()
            for path in sorted(Path(folder, name) for name in names):
                if path.suffix in _KEPT:
                    yield path.relative_to(_ROOT).as_posix(), path.read_bytes()
