"""The tests of the application again, asked of Ray Serve over a socket; and its reload."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hbpr.inference.system import RecommendationSystem

from .conftest import Ask, make_system
from .test_app import (  # noqa: F401 - collected here too, with the fixture below
    test_a_users_list_is_the_systems,
    test_an_unknown_user_does_not_spoil_the_others,
    test_bad_values_are_told,
    test_filters_and_diversity,
    test_new_users_are_answered_by_history_and_features,
    test_other_methods_are_405,
    test_pages_need_no_network,
    test_several_users_are_answered_in_the_order_asked,
    test_similar_items_are_the_systems_and_leave_the_item_out,
    test_the_description_names_every_answer,
    test_what_is_not_known_is_404_with_its_name,
)

pytestmark = [pytest.mark.ray, pytest.mark.long]
TOKEN = "a-long-enough-token"
PROGRAM = "if __name__ == '__main__':\n from hbpr.cli.main import main; main()"


@pytest.fixture(scope="module")
def place(system: RecommendationSystem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, and the token beside it."""
    folder = tmp_path_factory.mktemp("served")
    system.save(folder / "model")
    (folder / "token").write_text(TOKEN)
    return folder


@pytest.fixture(scope="module")
def ask(place: Path) -> Iterator[Ask]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, "serve", str(place / "model"), "--ray"]
    command += ["--port", str(port), "--token-file", str(place / "token")]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as server:
        assert server.stderr is not None
        said = ""
        while not re.search("serving .* at http", said):
            line = server.stderr.readline()
            assert line, said
            said += line

        def asked(path: str, body: Any = None, method: str | None = None, **headers: str) -> Any:
            given: dict[str, Any] = {"headers": {"Authorization": f"Bearer {TOKEN}"} | headers}
            if isinstance(body, bytes):
                given["content"] = body
                given["headers"].setdefault("content-type", "application/json")
            elif body is not None:
                given["json"] = body
            method = method or ("GET" if body is None else "POST")
            url = f"http://127.0.0.1:{port}{path}"
            answer = httpx.request(method, url, timeout=120, **given)
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status_code, answer.json() if is_json else answer.text

        try:
            yield asked
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(120)


def test_replicas_follow_a_reload(ask: Ask, place: Path) -> None:
    first = ask("/ready")[1]["model"]
    make_system(seed=1).save(place / "model")
    status, answer = ask("/reload", method="POST")
    assert status == 200
    assert answer["model"] != first
    assert ask("/ready")[1] == answer


def test_the_token_is_asked_for(ask: Ask) -> None:
    assert ask("/recommend/3", Authorization="Bearer wrong-token-here")[0] == 401
