"""The settings files that come with hbpr: found by name wherever it is installed.

They are the folder ``configs`` of the repository, which the package holds as a link and the wheel
as files: one source.
"""

from pathlib import Path
from typing import Final

#: The folder that travels with the package.
FOLDER: Final = Path(__file__).parents[1] / "configs"


def shipped_names() -> list[str]:
    """Return the names of the files at the top: what `hbpr tune NAME` takes.

    Example:
        >>> "quickstart" in shipped_names()
        True
    """
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_shipped(path: str | Path) -> Path | None:
    """Return the file that a name or a path of the repository stands for; None: there is none.

    Args:
        path: Such as ``quickstart``, ``configs/quickstart.yaml`` or ``reproductions/coat``.

    Example:
        >>> find_shipped("configs/quickstart.yaml") == find_shipped("quickstart")
        True
        >>> find_shipped("../quickstart") is find_shipped("mine.yaml") is None
        True
    """
    parts = Path(path).parts
    if parts[:1] == (FOLDER.name,):
        parts = parts[1:]
    if not parts or ".." in parts or Path(*parts).is_absolute():
        return None
    found = FOLDER.joinpath(*parts)
    found = found if found.suffix in {".yaml", ".yml"} else found.with_name(f"{found.name}.yaml")
    return found if found.is_file() else None
