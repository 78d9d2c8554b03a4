"""Where the records of a delimited text end, and which of them are malformed: one compiled pass."""

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from hbpr.errors import DataError

#: What can be wrong with a record.
_UNCLOSED: Final = 2
_N_FIELDS: Final = 3


class Scan(NamedTuple):
    """What a scan found.

    Attributes:
        end: Bytes up to the end of the last whole record.
        n_lines: Lines in them.
        n_records: Records in them, blank lines left out.
        n_multiline: Quoted texts that go over several lines.
        first_line: Line, from 0, where the first of those begins.
        last_line: Line where it ends.
        problem: 0, or what is wrong with the record after them.
        line: Line, from 0, of the problem, or where its quote opens.
        field: Column, from 0, of the problem; of a wrong number of fields: that number.
        start: First byte of the last record that was looked at.
    """

    end: int
    n_lines: int
    n_records: int
    n_multiline: int
    first_line: int
    last_line: int
    problem: int
    line: int
    field: int
    start: int


def scan(
    data: bytes,
    *,
    delimiter: str,
    quote: str | None,
    n_fields: int | None,
    final: bool,
    n_records: int = -1,
) -> Scan:
    """Look through records.

    Args:
        data: Bytes that begin with a record.
        delimiter: One ASCII character.
        quote: One ASCII character, or None: there are no quotes.
        n_fields: What each record must have; None: any number.
        final: Whether the data end here; else the last record may go on.
        n_records: Stop after so many records; -1: at the end.
    """
    found = np.zeros(10, np.int64)
    _compiled()(
        np.frombuffer(data, np.uint8),
        ord(delimiter),
        -1 if quote is None else ord(quote),
        -1 if n_fields is None else n_fields,
        final,
        n_records,
        found,
    )
    return Scan(*found.tolist())


def check(found: Scan, place: str, base: int, names: list[str], quote: str | None) -> None:
    """Raise if a scan met a malformed record.

    Args:
        found: The scan.
        place: The file.
        base: Line, from 1, at which the scanned bytes begin.
        names: The columns.
        quote: The quote.

    Raises:
        DataError: The message names line and column.
    """
    if not found.problem:
        return
    line = base + found.line
    if found.problem == _N_FIELDS:
        raise DataError(
            f"{place}, line {line}: expected {len(names)} columns ({', '.join(names[:6])}"
            f"{', ...' if len(names) > 6 else ''}), got {found.field}; check the delimiter and the "
            "quotes of this line"
        )
    column = names[found.field] if found.field < len(names) else f"number {found.field + 1}"
    if found.problem == _UNCLOSED:
        what = "a quoted text begins that is never closed"
    else:
        what = "a quoted text begins, and more text follows where it is closed"
    raise DataError(
        f"{place}, line {line}, column {column!r}: {what}. Where {quote} is a character like any "
        "other, set quote: null for this file (data.table.quote); else write it twice inside of "
        "quotes"
    )


def _scan_records(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0915 - a compiled kernel
    data, delimiter, quote, n_fields, final, most, found
):
    """Fill `found`, the fields of `Scan`."""
    n = len(data)
    at, line, records, multiline = 0, 0, 0, 0
    while at < n and records != most:
        found[9] = at
        start, start_line, n_multi = at, line, 0
        fields = 1
        done = False
        while not done:
            # a field begins
            if quote >= 0 and at < n and data[at] == quote:
                open_line = line
                at += 1
                closed = False
                while at < n:
                    byte = data[at]
                    if byte == quote:
                        if at + 1 < n and data[at + 1] == quote:
                            at += 2
                            continue
                        if at + 1 == n and not final:
                            return  # it may be the first of two
                        closed = True
                        at += 1
                        break
                    if byte == 10 or (byte == 13 and not (at + 1 < n and data[at + 1] == 10)):
                        line += 1
                    at += 1
                if not closed:
                    if final:
                        found[6], found[7], found[8] = 2, open_line, fields - 1
                    return
                if at < n and data[at] != delimiter and data[at] != 10 and data[at] != 13:
                    found[6], found[7], found[8] = 1, open_line, fields - 1
                    return
                if line > open_line:
                    if multiline + n_multi == 0:
                        found[4], found[5] = open_line, line
                    n_multi += 1
            while at < n and data[at] != delimiter and data[at] != 10 and data[at] != 13:
                at += 1
            if at == n:
                if not final:
                    return
                done = True
            elif data[at] == delimiter:
                at += 1
                fields += 1
            else:
                if data[at] == 13:
                    if at + 1 == n and not final:
                        return  # a line feed may follow
                    if at + 1 < n and data[at + 1] == 10:
                        at += 1
                at += 1
                line += 1
                done = True
        blank = data[start] == 10 or data[start] == 13
        if not blank:
            if n_fields >= 0 and fields != n_fields:
                found[6], found[7], found[8] = 3, start_line, fields
                return
            records += 1
        multiline += n_multi
        found[0], found[1], found[2], found[3] = at, line, records, multiline


@cache
def _compiled() -> Callable[..., None]:
    import numba  # half a second, which those who read no text need not wait for

    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(_scan_records)
    return compiled
