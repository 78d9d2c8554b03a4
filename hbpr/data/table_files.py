"""Tables in files: one file, a folder of parts, a pattern or a list; local, or on an object store.

Parts are read in the order of their names. Folders named ``key=value`` give a column ``key``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import quote, unquote

import pyarrow as pa
from pyarrow import fs, parquet

from hbpr.data.normal import without_views
from hbpr.data.text_files import TextFile, TextForm
from hbpr.errors import DataError, DatasetMissingError
from hbpr.object_store import open_store, told

#: Rows of a Parquet file that are read at a time.
_ROWS: Final = 1 << 20
#: What Spark and Hive write for a missing key.
_NO_KEY: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a table, and the keys of the folders that it lies in."""

    place: str
    system: Any
    path: str
    keys: dict[str, str | None]

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        return cast("IO[bytes]", self.system.open_input_file(self.path))


class ParquetPart:
    """One Parquet file, or one of Arrow's IPC files."""

    def __init__(self, part: Part) -> None:
        self.place, self._part = part.place, part
        with self._file() as file:
            self._schema = file.schema_arrow
        self.names: list[str] = list(self._schema.names)

    def _file(self) -> parquet.ParquetFile:
        return parquet.ParquetFile(self._part.open())

    def batches(self, columns: list[str], encoded: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns; texts in `encoded` by their distinct values."""
        texts = [
            name
            for name in encoded
            if pa.types.is_string(self._schema.field(name).type)
            or pa.types.is_large_string(self._schema.field(name).type)
        ]
        with parquet.ParquetFile(self._part.open(), read_dictionary=texts) as file:
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield pa.RecordBatch.from_arrays(
                    [batch.column(name) for name in columns], names=columns
                )


class ArrowPart:
    """A table of Arrow in memory: a data frame, or an IPC file."""

    def __init__(self, place: str, table: pa.Table) -> None:
        self.place, self._table = place, table
        self.names: list[str] = list(table.schema.names)

    def batches(self, columns: list[str], encoded: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns."""
        del encoded
        for batch in self._table.select(columns).to_batches(max_chunksize=_ROWS):
            arrays = [without_views(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(arrays, names=columns)


Readable = TextFile | ParquetPart | ArrowPart


@dataclass(frozen=True)
class Opened:
    """A file of a table, and the columns that its folders add."""

    file: Readable
    keys: dict[str, str | None]

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [*self.file.names, *(key for key in self.keys if key not in self.file.names)]

    def batches(self, columns: list[str], encoded: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns; see `Opened.names`.

        Raises:
            DataError: The file cannot be read.
        """
        inside = [name for name in columns if name in self.file.names] or self.file.names[:1]
        try:
            for batch in self.file.batches(inside, [name for name in encoded if name in inside]):
                arrays = {name: batch.column(name) for name in inside}
                for name in columns:
                    if name not in inside:
                        arrays[name] = _constant(self.keys[name], len(batch))
                yield pa.RecordBatch.from_arrays(
                    [arrays[name] for name in columns], names=list(columns)
                )
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{self.file.place}: the table cannot be read: {told(error)}"
            ) from error


def files_of(path: str) -> list[Part]:
    """Find the files that a path names, in the order of their names.

    Raises:
        DatasetMissingError: There is none.
        DataError: They cannot be listed.
    """
    try:
        return _parts(path)
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: the files cannot be listed: {told(error)}") from error


def open_table(paths: Sequence[str], form: TextForm) -> list[Opened]:
    """Open the files of a table, and read the names of their columns.

    Args:
        paths: Files, folders or patterns such as ``logs/*.csv``; ``s3://bucket/key`` too.
        form: How text files are written.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: A file cannot be read, or Parquet and text files are mixed.
    """
    parts = [part for path in paths for part in files_of(path)]
    several = len(parts) > 1
    opened, kinds = [], dict[str, str]()
    for part in parts:
        try:
            with part.open() as file:
                magic = file.read(6)
            if several and not magic:
                continue  # Spark writes empty parts
            found = _readable(part, magic, form)
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{part.place}: the table cannot be read: {told(error)}") from error
        opened.append(Opened(found, part.keys))
        kinds.setdefault("text" if isinstance(found, TextFile) else "Parquet", part.place)
    if len(kinds) > 1:
        raise DataError(
            "data.table.path: the files of one table must be of one kind, got "
            + " and ".join(f"{place} ({kind})" for kind, place in kinds.items())
            + "; name those that belong together, as a list or by a pattern"
        )
    if not opened:
        raise DataError(f"{', '.join(paths)}: all files are empty")
    return opened


def _readable(part: Part, magic: bytes, form: TextForm) -> Readable:
    if magic.startswith(b"PAR1") or part.path.lower().endswith((".parquet", ".pq")):
        return ParquetPart(part)
    if magic.startswith(b"ARROW1"):
        with pa.ipc.open_file(part.open()) as reader:
            return ArrowPart(part.place, reader.read_all())
    return TextFile(part.place, part.open, form)


def _parts(path: str) -> list[Part]:
    system, root = _system(path)
    info = system.get_file_info(root)
    if info.type == fs.FileType.File:
        return [Part(path, system, root, {})]
    pattern = None
    folder = root
    if info.type != fs.FileType.Directory:
        if not any(mark in root for mark in "*?["):
            if "://" in path:
                raise DatasetMissingError(f"{path}: no such bucket, folder or file")
            raise DatasetMissingError(f"{path}: no such file (relative to {Path.cwd()})")
        pattern = root
        folder = _fixed_folder(root)
    found = [
        each.path
        for each in system.get_file_info(
            fs.FileSelector(folder, recursive=True, allow_not_found=True)
        )
        if each.type == fs.FileType.File
        and not any(
            name.startswith(("_", ".")) and "=" not in name
            for name in each.path[len(folder) :].split("/")
        )
        and (pattern is None or _matches(each.path, pattern))
    ]
    if not found:
        what = "no file fits the pattern" if pattern else "a folder without a file"
        raise DatasetMissingError(f"{path}: {what} (names that begin with _ or . are passed over)")
    shown = path[: len(path) - len(root)] if path.endswith(root) else ""
    return [
        Part(f"{shown}{each}", system, each, _keys(each[len(folder) :])) for each in sorted(found)
    ]


def _system(path: str) -> tuple[Any, str]:
    if "://" in path:
        return open_store(path)
    return fs.LocalFileSystem(), str(Path(path).expanduser())


def _fixed_folder(pattern: str) -> str:
    """Return the folders of a pattern before the first that has a mark."""
    names = pattern.split("/")
    first = next(k for k, name in enumerate(names) if any(mark in name for mark in "*?["))
    return "/".join(names[:first]) or ("/" if pattern.startswith("/") else ".")


def _matches(path: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    names, wanted = path.removeprefix("./").split("/"), pattern.removeprefix("./").split("/")

    def fits(names: list[str], wanted: list[str]) -> bool:
        if not wanted:
            return True  # a folder that fits: everything in it
        if wanted[0] == "**":
            return any(fits(names[k:], wanted[1:]) for k in range(len(names)))
        return bool(names) and fnmatchcase(names[0], wanted[0]) and fits(names[1:], wanted[1:])

    return fits(names, wanted)


def _keys(path: str) -> dict[str, str | None]:
    """Return the keys of ``key=value`` folders."""
    keys: dict[str, str | None] = {}
    for name in path.split("/")[:-1]:
        key, equals, value = name.partition("=")
        if equals:
            keys[unquote(key)] = None if value == _NO_KEY else unquote(value)
    return keys


def key_folders(keys: Mapping[str, str | None]) -> list[str]:
    """Return the names of the ``key=value`` folders that give these keys."""
    return [
        f"{quote(key, safe='')}={_NO_KEY if value is None else quote(value, safe='')}"
        for key, value in keys.items()
    ]


def _constant(value: str | None, length: int) -> pa.Array:
    code = pa.scalar(None if value is None else 0, pa.int32())
    return pa.DictionaryArray.from_arrays(
        pa.repeat(code, length), pa.array([value or ""], pa.string())
    )
