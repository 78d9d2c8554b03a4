"""What a job needs of this machine: the settings, and the code where that is a checkout."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import hbpr

PACKAGES: Final = ("hbpr", "tune", "cluster", "dashboards")
#: The settings' name in a job's folder.
CONFIG: Final = "study.yaml"
#: Folders that no job needs: what Python makes anew, and the pages of the HTTP endpoint.
_NOT_NEEDED: Final = frozenset({"__pycache__", "pages"})


@contextmanager
def package(config: Path | None) -> Iterator[Path]:
    """Pack what goes to the cluster into one file, well below a megabyte.

    An installed hbpr is expected on the nodes. One that is run from a checkout goes along, so that
    what was edited is what runs.

    Args:
        config: The settings file; None: the study's folder has them.

    Yields:
        The file, which is gone afterwards.
    """
    with TemporaryDirectory(prefix="hbpr-job-") as folder:
        target = Path(folder) / "job.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("hbpr-job.txt", "made by hbpr submit\n")  # never an empty package
            if config is not None:
                archive.writestr(CONFIG, config.read_bytes())
            for path in _code():
                archive.writestr(str(path.relative_to(_above())), path.read_bytes())
        yield target


def _above() -> Path:
    return Path(hbpr.__file__).parents[1]


def _code() -> list[Path]:
    """Return the files of a checkout's packages; none where hbpr is installed."""
    if not (_above() / "pyproject.toml").is_file():
        return []
    return [
        path
        for name in PACKAGES
        for path in sorted((_above() / name).rglob("*"))
        if path.is_file() and not _NOT_NEEDED.intersection(path.relative_to(_above()).parts)
    ]
