"""A trainer's state on disk: one npz of arrays and one JSON of numbers, no pickled objects."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hbpr.errors import HbprError
from hbpr.training.engine import State

_VERSION = 1


def write(folder: Path, arrays: State, numbers: dict[str, Any]) -> None:
    """Write a checkpoint into a folder; the JSON comes last and makes it whole."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "state.npz", lambda path: _save_arrays(path, arrays))
    text = json.dumps({"version": _VERSION, **numbers}, indent=1)
    _replace(folder / "state.json", lambda path: path.write_text(text))


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


def _save_arrays(path: Path, arrays: State) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _replace(path: Path, write_to: Any) -> None:
    partial = path.with_name(path.name + ".part")
    write_to(partial)
    os.replace(partial, path)
