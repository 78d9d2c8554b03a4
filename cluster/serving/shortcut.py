"""The request that comes most, without the framework's detour: a known user's plain list.

The framework checks a query string once; when the same one comes again, only the user differs, and
checking it anew would take longer than the answer. Whatever is not so simple goes the whole way.
"""

import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final

from cluster.serving import metrics
from cluster.serving.gate import Message, Receive, Scope, Send
from cluster.serving.holder import Holder
from hbpr.inference.options import ListOptions

_log = logging.getLogger(__name__)

PREFIX: Final = "/recommend/"
#: The route as metrics and logs name it.
ROUTE: Final = SimpleNamespace(path="/recommend/{user:path}")
#: Query strings that are remembered, as many as lengths and flags that clients use, and how long.
_MOST: Final = 256
_LONGEST: Final = 200


class Checked:
    """Query strings that were found right, and the options that they stand for.

    The oldest one makes room: whoever sends many odd ones takes the short way from nobody for long.
    """

    def __init__(self) -> None:
        self._options: dict[bytes, ListOptions] = {}

    def remember(self, query: bytes, options: ListOptions) -> None:
        """Keep a query string whose list is plain; others go the whole way each time."""
        if not options.is_plain or len(query) > _LONGEST:
            return
        if len(self._options) >= _MOST and query not in self._options:
            del self._options[next(iter(self._options))]
        self._options[query] = options

    def get(self, query: bytes) -> ListOptions | None:
        """Return its options, if it was remembered."""
        return self._options.get(query)


class Shortcut:
    """An ASGI application before another one.

    Args:
        app: The application.
        holder: Holds the model.
        checked: Query strings that the application found right.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        holder: Holder,
        checked: Checked,
    ) -> None:
        self._app, self._holder, self._checked = app, holder, checked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        row, options, now = None, None, self._holder.now
        if scope["type"] == "http" and scope["method"] == "GET" and now is not None:
            path: str = scope["path"]
            if path.startswith(PREFIX):
                options = self._checked.get(scope["query_string"])
                row = now.model.users.row(path[len(PREFIX) :]) if options is not None else None
        if row is None or options is None or now is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = ROUTE
        try:
            found = await now.batcher.list_for(row, options)
        except Exception:  # noqa: BLE001 - logged; the application answers
            _log.exception("a list that the application is asked for again")
            await self._app(scope, receive, send)
            return
        metrics.count_lists("known")
        body = now.answers.user(now.model.users.values[row], found).encode()
        await send(_start(len(body)))
        await send({"type": "http.response.body", "body": body})


def _start(length: int) -> Message:
    headers: list[Any] = [
        (b"content-length", b"%d" % length),
        (b"content-type", b"application/json"),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}
