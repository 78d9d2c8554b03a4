"""Files here or in an object store, by one path or URL: ``Place.of("s3://bucket/folder")``."""

import contextlib
import posixpath
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from hbpr.errors import ConfigError, DataError, HbprError


def is_url(named: str) -> bool:
    """Return whether a text names a place in an object store, rather than a path."""
    return "://" in named


def has_secret(named: str) -> bool:
    """Return whether a URL has a user or a password in it, which records would show.

    Example:
        >>> has_secret("s3://KEY:SECRET@bucket/folder")
        True
    """
    return is_url(named) and "@" in named.partition("://")[2].partition("/")[0]


def check_url(url: str) -> None:
    """Check the form of a URL of an object store.

    Raises:
        ConfigError: It cannot be one, or would show a secret.
    """
    scheme, _, rest = url.partition("://")
    if has_secret(url):
        raise ConfigError(
            f"{scheme}://…: a URL must not hold a key or password, since records would show it; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on every node"
        )
    if scheme not in _SCHEMES:
        raise ConfigError(f"{url}: expected a folder or s3://BUCKET/FOLDER, got {scheme}://")
    if not rest.partition("/")[0] or "?" in url:
        raise ConfigError(
            f"{url.partition('?')[0]}: expected {scheme}://BUCKET/FOLDER and nothing behind it; "
            "another server than Amazon's is named by AWS_ENDPOINT_URL on every node"
        )


#: Stores that Arrow opens; the tests have a server for the first.
_SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss")
#: Bytes that are copied at a time.
_BLOCK: Final = 1 << 20


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
        """Return the place of a local path or of a URL such as ``s3://bucket/folder/recs.parquet``.

        The store's own variables hold its credentials (``AWS_ACCESS_KEY_ID``, …); another server
        than Amazon's is named by ``AWS_ENDPOINT_URL`` or ``?endpoint_override=``.

        Raises:
            ConfigError: There is no such kind of store, or it cannot be reached.
        """
        from pyarrow import ArrowException, fs

        if not is_url(named):
            return cls(fs.LocalFileSystem(), str(Path(named).absolute()), named)
        if named.startswith("s3://") and "?" not in named and not has_secret(named):
            from hbpr.object_store import open_store

            try:
                return cls(*open_store(named), named.rstrip("/"))
            except DataError as error:
                raise ConfigError(str(error)) from error
        try:
            found, path = fs.FileSystem.from_uri(named)
        except (ArrowException, OSError, ValueError) as error:
            raise ConfigError(f"{named}: this place cannot be used: {error}") from error
        told = named.partition("?")[0]
        if has_secret(told):
            scheme, _, rest = told.partition("://")
            told = f"{scheme}://{rest.partition('@')[2]}"
        return cls(found, path, told)

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
        with self._telling(), self.fs.open_input_stream(self.path, compression=None) as file:
            return bytes(file.read())

    def read_if_there(self) -> bytes | None:
        """Return the content of a file, None where there is none."""
        try:
            return self.read()
        except HbprError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def write(self, content: bytes) -> None:
        """Write a file; it is there once it is whole."""
        if not self.is_local:
            return self.put(content)
        partial = self.beside(f".{secrets.token_hex(4)}.partial")  # others may write it meanwhile
        with self._telling():
            with self.fs.open_output_stream(partial.path, compression=None) as file:
                file.write(content)
            self.fs.move(partial.path, self.path)
        return None

    def put(self, content: bytes) -> None:
        """Write an object of a store, in whose nature it is to be whole or not at all."""
        with self._telling(), self.fs.open_output_stream(self.path, compression=None) as file:
            file.write(content)

    def download(self, into: Path) -> None:
        """Bring a file to this machine, whole or not at all."""
        from hbpr.files import fresh_file

        into.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._telling(),
            self.fs.open_input_stream(self.path, compression=None) as file,
            fresh_file(into) as partial,
            partial.open("wb") as local,
        ):
            shutil.copyfileobj(file, local, _BLOCK)

    def upload(self, source: Path) -> None:
        """Put a file of this machine here."""
        with (
            self._telling(),
            source.open("rb") as local,
            self.fs.open_output_stream(self.path, compression=None) as file,
        ):
            shutil.copyfileobj(local, file, _BLOCK)

    def move_to(self, other: "Place") -> None:
        """Give a file another name in the same file system, in place of what is there."""
        with self._telling():
            self.fs.move(self.path, other.path)

    def copy_to(self, other: "Place") -> None:
        """Copy a file within the same file system."""
        with self._telling():
            self.fs.copy_file(self.path, other.path)

    def remove(self) -> None:
        """Remove a file, if it is there."""
        with self._telling(), contextlib.suppress(FileNotFoundError):
            self.fs.delete_file(self.path)

    def make_folder(self) -> None:
        """Make the folder, and those above it."""
        with self._telling():
            self.fs.create_dir(self.path, recursive=True)

    def names(self) -> list[str]:
        """Return the names of the files in this folder; none if there is no folder."""
        from pyarrow.fs import FileType

        return [info.base_name for info in self._list() if info.type == FileType.File]

    def folders(self) -> list[str]:
        """Return the names of the folders in this one, sorted; none if there is no folder."""
        from pyarrow.fs import FileType

        return sorted(info.base_name for info in self._list() if info.type == FileType.Directory)

    def files_below(self) -> list[str]:
        """Return the files in this folder and those in it, by their path from here, sorted."""
        from pyarrow.fs import FileType

        found = self._list(recursive=True)
        start = len(self.path.rstrip("/")) + 1
        return sorted(info.path[start:] for info in found if info.type == FileType.File)

    def _list(self, *, recursive: bool = False) -> list[Any]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self.path, recursive=recursive, allow_not_found=True)
        with self._telling():
            return list(self.fs.get_file_info(selector))

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
            from hbpr.object_store import told

            raise HbprError(f"{self.told}: {told(error)}") from error
