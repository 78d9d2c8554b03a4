"""What every request passes: the token, the limit on bodies, counting, and the access log."""

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fastapi import HTTPException

from cluster.serving import metrics
from cluster.serving.plan import AccessLog

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SWAGGER: Final = ("/docs", "/docs.js", "/swagger-ui-bundle.js", "/swagger-ui.css")
#: Routes that need no token: what a load balancer asks, and pages that hold no data.
OPEN: Final = frozenset(("/health", "/ready", "/openapi.json", "/", "/page.js", *_SWAGGER))
#: Seconds and bytes that a refused body may go on for, so that its sender comes to read the answer.
_DRAIN_S: Final = 5.0
_DRAIN_BYTES: Final = 2**27
_access = logging.getLogger("hbpr.access")


class Gate:
    """An ASGI application around another one.

    Args:
        app: The application.
        token: What ``Authorization: Bearer`` must hold; None: nothing is asked.
        max_body: Bytes of a body; a longer one is refused before it is read.
        access_log: What is logged of each request.
    """

    def __init__(
        self,
        app: App,
        *,
        token: str | None = None,
        max_body: int = 2**20,
        access_log: AccessLog = "off",
    ) -> None:
        self._app, self._max_body, self._log = app, max_body, access_log
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            headers = dict(scope["headers"])
            if self._token is not None and scope["path"] not in OPEN:
                given = headers.get(b"authorization", b"")
                if not hmac.compare_digest(given, self._token):
                    await _refuse(sending, 401, "a token is needed: Authorization: Bearer TOKEN")
                    return
            if _length(headers.get(b"content-length", b"")) > self._max_body:
                await self._too_large(receive, sending)
                return
            await self._app(scope, self._counted(receive), sending)
        finally:
            self._note(scope, status, time.perf_counter() - begin)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", "other")
        metrics.observe(path, scope["method"], status, seconds)
        if self._log != "off":
            shown = scope["path"] if self._log == "paths" else path
            _access.info("%s %s %d %.1f ms", scope["method"], shown, status, 1000 * seconds)

    def _counted(self, receive: Receive) -> Receive:
        """Return a `receive` that ends a body where the limit is, whatever its head said of it."""
        got = 0

        async def counting() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._max_body:
                raise HTTPException(413, self._limit())
            return message

        return counting

    async def _too_large(self, receive: Receive, send: Send) -> None:
        """Refuse at once, then let the rest of the body go by without keeping it."""
        await _refuse(send, 413, self._limit(), close=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                left = _DRAIN_BYTES
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        await send({"type": "http.response.body", "body": b""})

    def _limit(self) -> str:
        return f"a body may have at most {self._max_body:,} bytes; ask in several requests"


def _length(told: bytes) -> float:
    """Bytes that a head announces; what is no number is counted as it comes."""
    if not told.isdigit():
        return 0
    return int(told) if len(told) < 20 else float("inf")


async def _refuse(send: Send, status: int, detail: str, *, close: bool = False) -> None:
    """Answer with a problem; with `close` the answer stays open until the body is gone."""
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": close})
