"""Delimited text files (CSV, TSV, packed or not), read in blocks of whole records.

Arrow parses the fields. What it cannot say is found out here: the line of a malformed record, the
column and row of bytes that do not fit the encoding, and quotes that swallow lines.
"""

import bz2
import codecs
import csv as plain_csv
import gzip
import logging
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import csv

from hbpr.data.text_scan import check, scan
from hbpr.errors import DataError

_log = logging.getLogger(__name__)

#: Bytes that are read, and parsed, at a time.
_BLOCK: Final = 1 << 24
#: Bytes that one record may have.
_LONGEST: Final = 1 << 26
#: Stands for a separator of several characters.
_UNIT: Final = "\x1f"
_MARKS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_PACKED: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda raw: pa.CompressedInputStream(raw, "zstd"),
}


@dataclass(frozen=True)
class TextForm:
    """How a text file is written.

    Attributes:
        delimiter: Between columns; of several characters: there are no quotes.
        encoding: Of the bytes.
        quote: Around texts that hold a delimiter or a line break; None: nothing is quoted.
        columns: Names of the columns of a file without a header.
        setting: Where the delimiter is set, for messages.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str | None = '"'
    columns: tuple[str, ...] | None = None
    setting: str = "data.table"

    @property
    def is_long(self) -> bool:
        """Whether the delimiter is not one byte."""
        return len(self.delimiter.encode()) > 1

    @property
    def mark(self) -> str:
        """The one byte between columns that is parsed."""
        return _UNIT if self.is_long else self.delimiter

    @property
    def quote_mark(self) -> str | None:
        """The quote that is parsed."""
        return None if self.is_long else self.quote


class TextFile:
    """One text file.

    Args:
        place: Its name, for messages.
        opened: Opens it for reading bytes.
        form: How it is written.

    Raises:
        DataError: The header cannot be read.
    """

    def __init__(self, place: str, opened: Callable[[], IO[bytes]], form: TextForm) -> None:
        self.place, self._opened, self._form = place, opened, form
        self.names: list[str] = list(form.columns or ())
        if form.columns is None:
            with self._blocks() as blocks:
                self.names = blocks.header()

    def batches(self, columns: list[str], encoded: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns as texts, those in `encoded` by their distinct values.

        Raises:
            DataError: A record is malformed, or bytes do not fit the encoding.
        """
        coded = pa.dictionary(pa.int32(), pa.string())
        types = {name: coded if name in encoded else pa.string() for name in columns}
        with self._blocks() as blocks:
            if self._form.columns is None:
                blocks.header()
            for block in blocks:
                if block.count(b"\n") + block.count(b"\r") == len(block):
                    continue  # blank lines
                yield from self._parse(block, types, blocks).to_batches()
            blocks.warn()

    def _parse(self, block: bytes, types: dict[str, pa.DataType], blocks: "_Blocks") -> pa.Table:
        form = self._form
        try:
            return csv.read_csv(
                pa.BufferReader(block),
                read_options=csv.ReadOptions(
                    column_names=self.names,
                    block_size=len(block) + 1,
                ),
                parse_options=csv.ParseOptions(
                    delimiter=form.mark,
                    quote_char=form.quote_mark or False,
                    newlines_in_values=bool(blocks.n_multiline),
                ),
                convert_options=csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    null_values=[],
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            self._explain(block, list(types), blocks)
            raise DataError(f"{self.place}: the table cannot be read: {error}") from error

    def _explain(self, block: bytes, columns: list[str], blocks: "_Blocks") -> None:
        """Name column and row of bytes that are no UTF-8.

        Raises:
            DataError: There are some.
        """
        form = self._form
        raw = csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(column_names=self.names, block_size=len(block) + 1),
            parse_options=csv.ParseOptions(
                delimiter=form.mark, quote_char=form.quote_mark or False, newlines_in_values=True
            ),
            convert_options=csv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.binary())
            ),
        )
        for row in range(len(raw)):
            for name in columns:
                value = raw.column(name)[row].as_py()
                try:
                    (value or b"").decode()
                except UnicodeDecodeError:
                    before = scan(
                        block,
                        delimiter=form.mark,
                        quote=form.quote_mark,
                        n_fields=None,
                        final=True,
                        n_records=row,
                    )
                    row_number = blocks.n_records_before + row + 1
                    where = f"line {blocks.line_before + before.n_lines}, column {name!r} "
                    raise DataError(
                        f"{self.place}, {where}(row {row_number}): {_not_text(value, form)}"
                    ) from None

    def _blocks(self) -> "_Blocks":
        return _Blocks(self.place, self._opened(), self._form, self.names)


def _not_text(value: bytes, form: TextForm) -> str:
    return (
        f"the text must be {form.encoding.upper()}, got {value!r}; set encoding for this file "
        f"({form.setting}.encoding), for instance latin-1 or cp1252"
    )


@dataclass
class _Blocks:
    """The blocks of whole records of one file, as UTF-8, checked."""

    place: str
    raw: Any
    form: TextForm
    names: list[str]
    n_multiline: int = 0
    line_before: int = 1
    n_records_before: int = 0
    _line: int = 1
    _n_records: int = 0
    _rest: bytes = b""
    _done: bool = False
    _first: tuple[int, int] = (0, 0)
    _all_multiline: int = 0
    _decode: Any = field(default=None)
    _waiting: bytes = b""

    def __enter__(self) -> "_Blocks":
        head = self.raw.read(8)
        if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise DataError(
                f"{self.place}: an Excel or zip file; save the sheet as CSV, or unpack it"
            )
        for magic, unpacked in _PACKED.items():
            if head.startswith(magic):
                self.raw.seek(0)
                self.raw = unpacked(self.raw)
                head = self.raw.read(8)
        for mark, encoding in _MARKS.items():
            if head.startswith(mark) and not self.form.encoding.replace("_", "-").startswith(
                encoding
            ):
                raise DataError(
                    f"{self.place}: the text must be {self.form.encoding.upper()}, got {encoding} "
                    f"(it begins with its byte order mark); set {self.form.setting}.encoding: "
                    f"{encoding}, or save it as UTF-8"
                )
        if self.form.encoding != "utf-8":
            self._decode = codecs.getincrementaldecoder(self.form.encoding)()
        self._rest = self._to_utf8(head, final=False).removeprefix(codecs.BOM_UTF8)
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()

    def header(self) -> list[str]:
        """Read the first record: the names of the columns."""
        while True:
            found = scan(
                self._rest,
                delimiter=self.form.mark,
                quote=self.form.quote_mark,
                n_fields=None,
                final=self._done,
                n_records=1,
            )
            check(found, self.place, self._line, [], self.form.quote)
            if found.n_records:
                break
            if self._done:
                raise DataError(
                    f"{self.place}: the file is empty; its first line names the columns"
                )
            self._read()
        record, self._rest = self._rest[found.start : found.end], self._rest[found.end :]
        self._line += found.n_lines
        try:
            text = record.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            column = error.object[: error.start].decode(errors="replace").count(self.form.mark) + 1
            part = record.rstrip(b"\r\n").split(self.form.mark.encode())[column - 1]
            raise DataError(
                f"{self.place}, line {self._line - found.n_lines}, the name of column {column}: "
                f"{_not_text(part, self.form)}"
            ) from None
        if self.form.quote_mark is None:
            return text.split(self.form.mark)
        return next(
            plain_csv.reader([text], delimiter=self.form.mark, quotechar=self.form.quote_mark)
        )

    def __iter__(self) -> Iterator[bytes]:
        while not self._done or self._rest:
            if not self._done:
                self._read()
            found = scan(
                self._rest,
                delimiter=self.form.mark,
                quote=self.form.quote_mark,
                n_fields=len(self.names),
                final=self._done,
            )
            check(found, self.place, self._line, self.names, self.form.quote)
            if len(self._rest) - found.end > _LONGEST:
                raise DataError(
                    f"{self.place}, line {self._line + found.n_lines}: a record of more than "
                    f"{_LONGEST >> 20} MiB; if a quote is never closed there, set "
                    f"{self.form.setting}.quote: null"
                )
            if not self._all_multiline:
                self._first = (self._line + found.first_line, self._line + found.last_line)
            self._all_multiline += found.n_multiline
            self.n_multiline = found.n_multiline
            self.line_before, self.n_records_before = self._line, self._n_records
            block, self._rest = self._rest[: found.end], self._rest[found.end :]
            self._line += found.n_lines
            self._n_records += found.n_records
            if block:
                yield block

    def warn(self) -> None:
        """Say that quoted texts went over several lines, which stray quotes do as well."""
        if self._all_multiline:
            _log.warning(
                "%s: %s quoted texts go over several lines, the first from line %d to %d; where a "
                "quote is a character like any other, set %s.quote: null",
                *(self.place, f"{self._all_multiline:,}", *self._first, self.form.setting),
            )

    def _read(self) -> None:
        try:
            raw = self.raw.read(_BLOCK)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{self.place}: the file cannot be read: {error}") from error
        self._done = not raw
        self._rest += self._to_utf8(raw, final=self._done)

    def _to_utf8(self, raw: bytes, *, final: bool) -> bytes:
        if self._decode is not None:
            try:
                raw = self._decode.decode(raw, final).encode()
            except UnicodeDecodeError as error:
                raise self._undecoded(error) from None
        if self.form.is_long:
            raw = self._with_marks(raw, final=final)
        return raw

    def _with_marks(self, raw: bytes, *, final: bool) -> bytes:
        """Put one byte in place of each separator in whole lines; the rest waits."""
        raw = self._waiting + raw
        end = len(raw) if final else raw.rfind(b"\n") + 1
        self._waiting = raw[end:]
        if _UNIT.encode() in raw[:end]:
            raise DataError(f"{self.place}: a text holds the control character U+001F")
        return raw[:end].replace(self.form.delimiter.encode(), _UNIT.encode())

    def _undecoded(self, error: UnicodeDecodeError) -> DataError:
        """Say where bytes are that do not fit the encoding that is set."""
        start = error.object[: error.start].decode(self.form.encoding, errors="replace")
        known = self._rest.decode(errors="replace") + start
        line = self._line + known.count("\n")
        column = known.rpartition("\n")[2].count(self.form.delimiter)
        name = repr(self.names[column]) if column < len(self.names) else column + 1
        wrong = error.object[error.start : error.end]
        return DataError(f"{self.place}, line {line}, column {name}: {_not_text(wrong, self.form)}")
