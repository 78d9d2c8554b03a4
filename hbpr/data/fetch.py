"""Fetch a file over HTTP: progress, resume, a bounded number of tries, atomic at the end."""

import http.client
import logging
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hbpr.errors import HbprError

_log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 18
_RETRIED_STATUS: Final = (408, 416, 429, 500, 502, 503, 504)


class FetchError(HbprError):
    """A file could not be fetched."""


def fetch(
    url: str, path: Path, *, tries: int = 4, timeout_s: float = 30.0, pause_s: float = 1.0
) -> None:
    """Fetch `url` into `path`.

    What arrives is kept in ``PATH.part``: a broken transfer, also one of an earlier call, goes on
    where it stopped if the server can do that, and starts again otherwise. `path` appears, or is
    replaced, only once everything is there.

    Args:
        url: http or https address.
        path: Where the file goes; its folder is made once something arrives.
        tries: Number of connections made at most.
        timeout_s: Seconds without a byte after which a connection is given up.
        pause_s: Seconds before the second try; doubled before each further one.

    Raises:
        FetchError: The server has no such file, or every try failed.
        OSError: The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    problem = ""
    for attempt in range(tries):
        if attempt:
            _log.info("%s: %s; trying again", url, problem)
            time.sleep(pause_s * 2 ** (attempt - 1))
        start = part.stat().st_size if part.is_file() else 0
        request = urllib.request.Request(url, headers={"User-Agent": "hbpr"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            response = urllib.request.urlopen(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _RETRIED_STATUS:
                raise FetchError(
                    f"{url}: the server answers {error.code} {error.reason}"
                ) from error
            if error.code == 416:  # the part is no beginning of this file
                part.unlink(missing_ok=True)
            problem = f"the server answers {error.code} {error.reason}"
            continue
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, socket.gaierror):
                raise FetchError(f"{url}: no network ({reason})") from error
            problem = str(reason) or type(reason).__name__
            continue
        with response:
            problem = _receive(response, part, start)
        if not problem:
            os.replace(part, path)
            return
    raise FetchError(f"{url}: {problem} ({tries} tries)")


def read_text(url: str, *, timeout_s: float = 30.0) -> str:
    """Fetch a short text.

    Raises:
        FetchError: It could not be fetched.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return str(response.read(1 << 16).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{url}: {error}") from error


def _receive(response: Any, part: Path, start: int) -> str:
    """Write the body to `part`; return what went wrong, or nothing."""
    if response.status != 206:
        start = 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length is not None else None
    received = start
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("r+b" if start else "wb") as sink, _progress(part.stem, start, total) as advance:
        sink.seek(start)
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                return f"the transfer broke off after {received} bytes ({error})"
            if not chunk:
                break
            sink.write(chunk)
            received += len(chunk)
            advance(len(chunk))
    if total is not None and received != total:
        return f"the transfer broke off after {received} of {total} bytes"
    return ""


@contextmanager
def _progress(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's stderr; one line in the log elsewhere."""
    if not sys.stderr.isatty():
        size = f"{total / 1e6:.1f} MB" if total is not None else "size unknown"
        _log.info("fetching %s (%s)%s", name, size, f", from byte {start}" if start else "")
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total, completed=start)
        yield lambda n: progress.advance(task, n)
