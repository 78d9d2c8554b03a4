"""A model's folder as it travels through Ray's object store to nodes without a shared disk."""

import tempfile
from pathlib import Path

ModelFiles = dict[str, bytes]


def read_files(folder: Path) -> ModelFiles:
    """Return the files of a model's folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def write_files(files: ModelFiles) -> Path:
    """Write a model's folder on this node, under the system's folder of temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="hbpr-model-"))
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    return folder
