"""Files here or in an object store, by one path or URI."""

import contextlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from hbpr.errors import ConfigError, HbprError


@dataclass(frozen=True)
class Place:
    """A file or folder in a file system of pyarrow.

    Attributes:
        fs: The file system.
        path: The path in it.
        told: How it was named, for messages.
    """

    fs: Any
    path: str
    told: str

    @classmethod
    def of(cls, named: str) -> Self:
        """Return the place of a local path or of a URI such as ``s3://bucket/folder/recs.parquet``.

        The store's own variables hold its credentials (``AWS_ACCESS_KEY_ID``, …); another server
        than Amazon's is named by ``AWS_ENDPOINT_URL`` or ``?endpoint_override=``.

        Raises:
            ConfigError: There is no such kind of store, or it cannot be reached.
        """
        from pyarrow import ArrowException, fs

        if "://" not in named:
            return cls(fs.LocalFileSystem(), str(Path(named).absolute()), named)
        try:
            found, path = fs.FileSystem.from_uri(named)
        except (ArrowException, OSError, ValueError) as error:
            raise ConfigError(f"{named}: this place cannot be used: {error}") from error
        return cls(found, path, named.partition("?")[0])

    @property
    def suffix(self) -> str:
        """The end of the name, such as ``.csv``."""
        return posixpath.splitext(self.path)[1].lower()

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return str(self.fs.type_name) == "local"

    def with_suffix(self, suffix: str) -> Self:
        """Return the place with another end of its name."""
        told = self.told.removesuffix(posixpath.splitext(self.told)[1]) + suffix
        return replace(self, path=posixpath.splitext(self.path)[0] + suffix, told=told)

    def beside(self, ending: str) -> Self:
        """Return the place with something behind its name."""
        return replace(self, path=self.path + ending, told=self.told + ending)

    def __truediv__(self, name: str) -> Self:
        return replace(self, path=f"{self.path}/{name}", told=f"{self.told}/{name}")

    def exists(self) -> bool:
        """Return whether a file is there."""
        from pyarrow.fs import FileType

        with self._telling():
            return bool(self.fs.get_file_info(self.path).type == FileType.File)

    def read(self) -> bytes:
        """Return the content of a file."""
        with self._telling(), self.fs.open_input_stream(self.path) as file:
            return bytes(file.read())

    def write(self, content: bytes) -> None:
        """Write a file; it is there once it is whole."""
        partial = self.beside(".partial")
        with self._telling():
            with self.fs.open_output_stream(partial.path) as file:
                file.write(content)
            self.fs.move(partial.path, self.path)

    def move_to(self, other: "Place") -> None:
        """Give a file another name in the same file system, in place of what is there."""
        with self._telling():
            self.fs.move(self.path, other.path)

    def make_folder(self) -> None:
        """Make the folder, and those above it."""
        with self._telling():
            self.fs.create_dir(self.path, recursive=True)

    def names(self) -> list[str]:
        """Return the names of the files in this folder; none if there is no folder."""
        from pyarrow.fs import FileSelector, FileType

        with self._telling():
            selector = FileSelector(self.path, allow_not_found=True)
            found = self.fs.get_file_info(selector)
        return [info.base_name for info in found if info.type == FileType.File]

    def remove_folder(self) -> None:
        """Remove this folder with all that is in it, if it is there."""
        from pyarrow.fs import FileType

        with self._telling():
            if self.fs.get_file_info(self.path).type == FileType.Directory:
                self.fs.delete_dir(self.path)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HbprError(f"{self.told}: {error}") from error
