"""Curves of many runs, from a database and from a server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from hbpr.tracking.histories import Cache, read_histories
from hbpr.tracking.run_log import log_batch
from hbpr.tracking.store import ensure_experiment, open_client

METRIC = "val/auc"


def fill(uri: str) -> list:
    """Three runs: two with a curve, of which one has a step twice, and one bare."""
    client = open_client(uri)
    experiment = ensure_experiment(client, "films", uri)
    curves = [[(1, 0.1), (2, 0.3)], [(1, 0.2), (1, 0.25), (3, float("nan"))], []]
    for number, curve in enumerate(curves):
        run = client.create_run(experiment, run_name=str(number))
        points = [(METRIC, value, 1000 + i, step) for i, (step, value) in enumerate(curve)]
        log_batch(client, run.info.run_id, metrics=points)
        if number == 0:
            client.set_terminated(run.info.run_id, "FINISHED", 5_000)
    runs = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    return sorted(runs, key=lambda run: run.info.run_name)


def expect(found: dict, runs: list) -> None:
    first, second, third = (run.info.run_id for run in runs)
    assert found[first] == {1: 0.1, 2: 0.3}
    assert found[second] == {1: 0.25}
    assert third not in found


def test_a_database_answers_in_bulk_and_ended_runs_are_read_once(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fill(tracking_uri)
    client, cache = open_client(tracking_uri), Cache()
    expect(read_histories(client, runs, METRIC, cache), runs)
    store = client._tracking_client.store
    asked = []
    bulk = store.get_metric_history_bulk
    monkeypatch.setattr(
        store,
        "get_metric_history_bulk",
        lambda ids, *rest: asked.append(list(ids)) or bulk(ids, *rest),
    )
    monkeypatch.setattr(client, "get_metric_history", None)
    expect(read_histories(client, runs, METRIC, cache), runs)
    assert asked == [[runs[1].info.run_id]], "only the one that goes on is read again"


@pytest.fixture
def server(tracking_uri: str) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.long
def test_a_server_answers_in_bulk(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = fill(server)
    client = open_client(server)
    monkeypatch.setattr(client, "get_metric_history", None)
    expect(read_histories(client, runs, METRIC), runs)
