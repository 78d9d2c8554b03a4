"""What every request passes."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest

from cluster.serving.app import create_app
from cluster.serving.gate import Gate
from hbpr.inference.loaded import LoadedModel

from .conftest import asking

TOKEN = "a-long-enough-token"


def test_a_token_is_asked_for_but_by_who_holds_no_data(model: LoadedModel) -> None:
    ask = asking(create_app(model, token=TOKEN))
    right = {"authorization": f"Bearer {TOKEN}"}
    for path in ("/recommend/3", "/info", "/metrics", "/history/3", "/items?text=a", "/similar/10"):
        assert ask(path)[0] == 401
        assert ask(path, **right)[0] == 200
    for wrong in ("", TOKEN, f"Bearer {TOKEN}x", f"bearer {TOKEN}", "Bearer "):
        status, answer = ask("/recommend/3", authorization=wrong)
        assert (status, "a token is needed" in answer["detail"]) == (401, True)
    assert ask("/reload", method="POST")[0] == 401
    for path in ("/health", "/ready", "/", "/docs", "/openapi.json", "/swagger-ui.css"):
        assert ask(path)[0] == 200
    schema = ask("/openapi.json")[1]
    assert schema["components"]["securitySchemes"] == {
        "token": {"type": "http", "scheme": "bearer"}
    }
    assert schema["paths"]["/health"]["get"]["security"] == []


def test_without_a_token_nobody_reloads(model: LoadedModel) -> None:
    status, answer = asking(create_app(model))("/reload", method="POST")
    assert (status, "--token-file" in answer["detail"]) == (403, True)


def test_a_model_that_has_no_name_is_not_reloaded(model: LoadedModel) -> None:
    ask = asking(create_app(model, token=TOKEN))
    status, answer = ask("/reload", method="POST", authorization=f"Bearer {TOKEN}")
    assert (status, "has no name to look up" in answer["detail"]) == (409, True)


class Body:
    """A client that counts what is read of its body."""

    def __init__(self, blocks: Iterable[bytes], **headers: str) -> None:
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.blocks, self.read, self.sent = iter(blocks), 0, []

    async def receive(self) -> dict[str, Any]:
        block = next(self.blocks, None)
        self.read += len(block or b"")
        return {"type": "http.request", "body": block or b"", "more_body": block is not None}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append((self.read, message))

    def ask(self, app: Any) -> tuple[int, int]:
        """Return the status, and the bytes read before it was sent."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/recommend",
            "raw_path": b"/recommend",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json"), *self.headers],
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }
        asyncio.run(app(scope, self.receive, self.send))
        read, start = self.sent[0]
        return start["status"], read


def test_a_large_body_is_refused_before_it_is_read(model: LoadedModel) -> None:
    app = create_app(model, max_body=1000)
    told = Body([b"x" * 1000] * 50, **{"content-length": "50000"})
    assert told.ask(app) == (413, 0)
    assert told.read == 50_000  # it goes by, so that its sender comes to read the answer
    assert dict(told.sent[0][1]["headers"])[b"connection"] == b"close"


def test_a_body_without_a_length_is_refused_at_the_limit(model: LoadedModel) -> None:
    app = create_app(model, max_body=1000)
    unknown = Body([b"x" * 400] * 50, **{"transfer-encoding": "chunked"})
    assert unknown.ask(app) == (413, 1200)
    for length in ("10", "-1", "1e3", ""):  # what the head says beside it does not count
        both = {"transfer-encoding": "chunked", "content-length": length}
        assert Body([b"x" * 400] * 50, **both).ask(app) == (413, 1200)
    assert Body([], **{"content-length": "9" * 5000}).ask(app) == (413, 0)
    fine = Body([b'{"users": ', b"[3]}"], **{"transfer-encoding": "chunked"})
    assert fine.ask(app)[0] == 200


@pytest.mark.parametrize(
    ("log", "shown"),
    [("off", []), ("routes", ["GET /recommend/{user:path} 200"]), ("paths", ["GET /recommend/3"])],
)
def test_the_access_log_has_no_ids_unless_asked(
    model: LoadedModel, log: Any, shown: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hbpr.access"):
        asking(create_app(model, access_log=log))("/recommend/3")
    lines = [record.getMessage() for record in caplog.records if record.name == "hbpr.access"]
    assert len(lines) == len(shown)
    for line, start in zip(lines, shown, strict=True):
        assert line.startswith(start)


def test_other_protocols_pass() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(Gate(app, token=TOKEN)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
