"""Pages for people: one to try a user or a history, and the API's description; no network needed.

Swagger UI (Apache-2.0, its licence lies beside it) is shipped compressed, as it is sent.
"""

import gzip
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request, Response

_HTML: Final = "text/html; charset=utf-8"
_JS: Final = "text/javascript; charset=utf-8"
#: Path, file and type of each.
_PAGES: Final = (
    ("/", "index.html", _HTML),
    ("/page.js", "page.js", _JS),
    ("/docs", "docs.html", _HTML),
    ("/docs.js", "docs.js", _JS),
    ("/swagger-ui-bundle.js", "swagger-ui-bundle.js.gz", _JS),
    ("/swagger-ui.css", "swagger-ui.css.gz", "text/css; charset=utf-8"),
)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_pages(api: FastAPI) -> None:
    """Add the pages to an application; they are no part of its description."""
    for path, name, kind in _PAGES:
        _add(api, path, name, kind)


def _add(api: FastAPI, path: str, name: str, kind: str) -> None:
    @api.get(path, include_in_schema=False)
    async def page(request: Request) -> Response:
        content, headers = _content(name), dict(_HEADERS)
        if name.endswith(".gz"):
            if "gzip" in request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
            else:
                content = gzip.decompress(content)
        return Response(content, headers=headers, media_type=kind)


@cache
def _content(name: str) -> bytes:
    return (files(__name__) / name).read_bytes()
