"""A small model with names and features, its folder, and applications asked without a socket."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hbpr.data import UserItemData
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import MfSettings, SplitSettings, TrialSettings

Ask = Callable[..., tuple[int, Any]]
TOKEN = "a-long-enough-token"
PROGRAM = "if __name__ == '__main__':\n from hbpr.cli.main import main; main()"


def make_system(name: Callable[[int], Any] = int, seed: int = 0) -> RecommendationSystem:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((20, 15)) < 0.5)
    data = UserItemData("toy")
    data.add_positive_interactions([name(u) for u in users], [name(10 * i) for i in items])
    ids = [name(10 * i) for i in range(15)]
    data.add_item_names(ids, [f"Thing {i}" for i in range(15)])
    data.add_item_features(ids, ids)
    data.add_item_features(ids, [f"genre {i % 4}" for i in range(15)])
    people = [name(u) for u in range(20)]
    data.add_user_features(people, people)
    data.add_user_features(people, [f"age {u % 3}" for u in range(20)])
    interactions = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    settings = TrialSettings(model=MfSettings(n_latent=8, init_std=1.0))
    model = build_model(settings.model, interactions, seed=seed)
    return RecommendationSystem(model, interactions, settings, {"val/ndcg_at_10": 0.25})


def load_system(system: RecommendationSystem, folder: Path) -> LoadedModel:
    system.save(folder)
    return LoadedModel.read(folder)


def asking(app: Any) -> Ask:
    """(path, body=None, **headers) -> (status, answer)."""

    async def request(path: str, body: Any, headers: dict[str, str], method: str | None) -> Any:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            given: dict[str, Any] = {"headers": headers}
            if isinstance(body, bytes):
                given["content"] = body
                headers.setdefault("content-type", "application/json")
            elif body is not None:
                given["json"] = body
            method = method or ("GET" if body is None else "POST")
            answer = await client.request(method, path, **given)
        kind = answer.headers.get("content-type", "")
        content = json.loads(answer.content) if "json" in kind else answer.text
        return answer.status_code, content

    return lambda path, body=None, method=None, **headers: asyncio.run(
        request(path, body, headers, method)
    )


@pytest.fixture(scope="module")
def system() -> RecommendationSystem:
    return make_system()


@pytest.fixture(scope="module")
def model(system: RecommendationSystem, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_system(system, tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with its model."""
    make_system().save(tmp_path / "study" / "model")
    (tmp_path / "study" / "journal.log").touch()
    return tmp_path / "study"


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Run `hbpr serve`; yields the process, its address and the lines that it writes."""
    command = [sys.executable, "-c", PROGRAM, "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
        try:
            while True:
                line = process.stderr.readline()
                assert line, "\n".join(lines)
                lines.append(line)
                if found := re.search(r"https?://\S+", line):
                    break
            reader.start()
            yield process, found[0], lines
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
        reader.join(10)
        assert "Traceback" not in "".join(lines)
