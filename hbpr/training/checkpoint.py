"""A trainer's state on disk: one npz of arrays and one JSON of numbers, no pickled objects."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hbpr.errors import HbprError
from hbpr.files import fresh_file, write_text
from hbpr.training.engine import State

_VERSION = 1


def write(folder: Path, arrays: State, numbers: dict[str, Any]) -> None:
    """Write a checkpoint into a folder; the JSON comes last and makes it whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with fresh_file(folder / "state.npz") as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    write_text(folder / "state.json", json.dumps({"version": _VERSION, **numbers}, indent=1))


def read(folder: Path) -> tuple[State, dict[str, Any]]:
    """Read what `write` wrote.

    Raises:
        HbprError: The folder holds no whole checkpoint, or one of another version.
    """
    try:
        numbers = json.loads((folder / "state.json").read_text())
        with np.load(folder / "state.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise HbprError(f"{folder}: not a whole checkpoint ({error})") from error
    if numbers.get("version") != _VERSION:
        raise HbprError(
            f"{folder}: checkpoint version must be {_VERSION}, got {numbers.get('version')}"
        )
    return arrays, numbers
