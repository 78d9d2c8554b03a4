"""The tests of the application again, asked of Ray Serve over a socket; and its reload."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from hbpr.inference.folder import read_about, write_about
from hbpr.inference.system import RecommendationSystem

from .conftest import PROGRAM, TOKEN, Ask, make_system
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


@pytest.fixture(scope="module")
def place(system: RecommendationSystem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, and the token beside it."""
    folder = tmp_path_factory.mktemp("served")
    system.save(folder / "model")
    (folder / "token").write_text(TOKEN)
    return folder


def _command(place: Path, port: int, *options: str) -> list[str]:
    given = [str(place / "model"), "--ray", "--port", str(port), *options]
    return [sys.executable, "-c", PROGRAM, "serve", *given, "--token-file", str(place / "token")]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _serving(command: list[str], env: Mapping[str, str]) -> Iterator[None]:
    """Run the command until it says that it serves; end it as Ctrl-C does."""
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**env, "PYTHONUNBUFFERED": "1"}
    ) as server:
        assert server.stderr is not None
        said = ""
        while not re.search("serving .* at http", said):
            line = server.stderr.readline()
            assert line, said
            said += line
        try:
            yield
        finally:
            server.send_signal(signal.SIGINT)
            _, rest = server.communicate(timeout=120)
        assert server.returncode == 0, said + rest
        assert "Traceback" not in said + rest


@pytest.fixture(scope="module")
def ask(place: Path) -> Iterator[Ask]:
    port = _free_port()

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

    with _serving(_command(place, port), os.environ):
        yield asked


def test_replicas_follow_a_reload(ask: Ask, place: Path) -> None:
    first = ask("/ready")[1]["model"]
    make_system(seed=1).save(place / "model")
    status, answer = ask("/reload", method="POST")
    assert status == 200
    assert answer["model"] != first
    assert ask("/ready")[1] == answer


def test_the_token_is_asked_for(ask: Ask) -> None:
    assert ask("/recommend/3", Authorization="Bearer wrong-token-here")[0] == 401


def test_a_model_that_cannot_be_loaded_is_told_and_the_old_one_stays(ask: Ask, place: Path) -> None:
    before = ask("/ready")
    about = read_about(place / "model")
    about["settings"]["model"]["kind"] = "antigravity:fly"
    write_about(place / "model", about)
    status, answer = ask("/reload", method="POST")
    assert status == 409
    assert "its code is not part of hbpr" in answer["detail"]
    assert ask("/ready") == before


def test_a_cluster_serves_and_has_room_for_one_server(
    system: RecommendationSystem, token_head: Any, tmp_path: Path
) -> None:
    system.save(tmp_path / "model")
    (tmp_path / "token").write_text(TOKEN)
    env = token_head.env | {"PYTHONPATH": os.pathsep.join(sys.path)}
    port, joined = _free_port(), ("--address", token_head.address)
    with _serving(_command(tmp_path, port, *joined), env):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{port}/recommend/3?k=4"
        listed = httpx.get(url, headers=headers, timeout=60).json()["items"]
        expected = system.recommend([3], k=4)["item"].tolist()
        assert [each["item"] for each in listed] == expected
        second = subprocess.run(
            _command(tmp_path, _free_port(), *joined),
            env=env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert second.returncode == 2, second.stderr
        assert "Ray Serve runs on this cluster already" in second.stderr
        assert "Traceback" not in second.stderr
        assert httpx.get(url, headers=headers, timeout=60).status_code == 200
