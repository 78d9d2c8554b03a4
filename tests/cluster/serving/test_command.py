"""`hbpr serve`: what it finds, what it refuses, and that it answers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from cluster.serving.command import _listen, _url, load, serve
from hbpr.cli.main import run
from hbpr.data import UserItemData
from hbpr.errors import ConfigError, DataError
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import MfSettings, TrialSettings


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with its model."""
    data = UserItemData("toy")
    users, items = np.nonzero(np.random.default_rng(0).random((8, 6)) < 0.6)
    data.add_positive_interactions(users, items)
    interactions = data.to_interactions()
    settings = TrialSettings(model=MfSettings(n_latent=4))
    model = build_model(settings.model, interactions, seed=0)
    RecommendationSystem(model, interactions, settings).save(tmp_path / "study" / "model")
    (tmp_path / "study" / "journal.log").touch()
    return tmp_path / "study"


def test_a_study_and_its_model_are_the_same(study: Path) -> None:
    assert load(str(study)).data.n_users == load(str(study / "model")).data.n_users == 8


def test_a_model_in_mlflow_is_served(study: Path) -> None:
    from hbpr.tracking.registry import log_system
    from hbpr.tracking.store import ensure_experiment, open_client

    uri = f"sqlite:///{study.parent}/mlflow.db"
    client = open_client(uri)
    made = client.create_run(ensure_experiment(client, "serve", uri))
    model_uri = log_system(client, made.info.run_id, study / "model")
    assert load(model_uri, uri).data.n_items == 6


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder") as caught:
        load(str(tmp_path / "none"))
    assert "models:/NAME@ALIAS" in str(caught.value)


def test_an_unfinished_study_is_told(study: Path) -> None:
    (study / "model").rename(study.parent / "elsewhere")
    with pytest.raises(ConfigError, match="no model yet"):
        load(str(study))


def test_another_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load(str(tmp_path))


def test_a_taken_port_is_told_at_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(serve, [str(study), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert "--port" in said


def test_it_serves_until_it_is_interrupted(study: Path) -> None:
    program = "import sys; from hbpr.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", str(study), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert url is not None, line + process.stderr.read()
            with urllib.request.urlopen(f"{url[0]}/recommend/1?k=2", timeout=20) as answer:
                assert json.load(answer)["user"] == 1
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
        assert "Traceback" not in process.stderr.read()


def test_the_listening_socket_names_its_protocol() -> None:
    # asyncio sets TCP_NODELAY only then; without it an answer takes 40 ms longer.
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert _url(listener).startswith("http://127.0.0.1:")
