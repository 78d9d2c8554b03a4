"""What Prometheus scrapes of a running study answers every Grafana panel; `hbpr watch` shows it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.grafana import DASHBOARDS, write_dashboards
from tune.settings import plan_of_started
from tune.storage.folder import read_settings
from tune.storage.trials import read_journal
from tune.study.metrics import METRICS

from .conftest import TokenHead, _free_ports

pytestmark = [pytest.mark.ray, pytest.mark.long]

EXPERIMENT = "scraped-films"
STUDY = {
    "data": {"source": "synthetic", "synthetic": {"n_users": 400, "n_items": 300}},
    "training": {"n_iter": 40, "eval_every": 2, "early_stopping_patience": 0},
    "sweep": {
        "scheduler": {"kind": "asha", "grace_period": 4, "reduction_factor": 3},
        "num_trials": 5000,
        "max_concurrent": 1,
        "budget": {"wall_s": 1500},  # the test ends it
        "space": {"model.n_latent": [8, 16], "optimizer.lr": {"low": 0.01, "high": 0.5}},
    },
}


def ask(prometheus: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers a query, as Grafana asks it."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{query}: {error.read().decode()}")
    assert said["status"] == "success"
    return list(said["data"]["result"])


def filled(query: str) -> str:
    """The query with what Grafana puts in for its variables."""
    return (
        query.replace("$__rate_interval", "1m")
        .replace("$study", ".*")
        .replace("$experiment", EXPERIMENT)
        .replace("$node", ".*")
    )


@pytest.fixture(scope="module")
def prometheus(ray_folder: Path, token_head: TokenHead) -> Iterator[str]:
    """Debian's Prometheus on loopback; it finds the nodes by the file that Ray writes for it."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; Debian has a package of that name")
    (port,) = _free_ports(1)
    folder = ray_folder / "prometheus"
    folder.mkdir()
    found = ray_folder / "head" / "prom_metrics_service_discovery.json"
    config = {
        "global": {"scrape_interval": "2s"},
        "scrape_configs": [{"job_name": "ray", "file_sd_configs": [{"files": [str(found)]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program, f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                pytest.fail((folder / "log").read_text())
            yield url
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def study(
    token_head: TokenHead, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A study that runs; the process of one of its trials is killed."""
    folder = tmp_path_factory.mktemp("study")
    mlflow = {"experiment_name": EXPERIMENT, "tracking_uri": f"sqlite:///{folder}/mlflow.db"}
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | {"mlflow": mlflow}))
    command = [sys.executable, "-m", "hbpr", "tune", "study.yaml", "--address", token_head.address]
    env = token_head.env | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            _wait(lambda: _ended(prometheus) > 0, process, folder / "log")
            (kept,) = (folder / "studies" / EXPERIMENT).iterdir()
            _kill_a_trial(kept.name)
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()


def _ended(prometheus: str) -> float:
    found = ask(prometheus, 'sum(ray_hbpr_trials{state!="running"})')
    return float(found[0]["value"][1]) if found else 0.0


def _kill_a_trial(study: str) -> None:
    """Kill a process of trials: its title is the trial that it works on, or its study."""
    import psutil
    import ray  # noqa: F401  # brings its own psutil

    for process in psutil.process_iter(["cmdline"]):
        title = (process.info["cmdline"] or [""])[0]
        if title.startswith("ray::") and study in title:
            process.kill()
            return
    pytest.fail(f"no process works on trials of {study}")


def _wait(done: Any, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 400) -> None:
    until = time.monotonic() + timeout_s
    while not done():
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"the study ended or takes too long:\n{log.read_text()[-3000:]}")
        time.sleep(1)


def test_every_query_of_the_dashboards_has_an_answer(
    prometheus: str, study: Path, tmp_path: Path
) -> None:
    boards = [json.loads(path.read_text()) for path in write_dashboards(tmp_path)]
    assert len(boards) == len(DASHBOARDS)
    queries = {
        f"{panel['title']}: {target['expr']}": filled(target["expr"])
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    assert len(queries) > 25
    left, until = dict(queries), time.monotonic() + 240
    while left and time.monotonic() < until:
        left = {name: query for name, query in left.items() if not ask(prometheus, query)}
        time.sleep(2 * bool(left))
    assert not left, "no answer to:\n" + "\n".join(left)
    for board in boards:  # what the variables offer
        for variable in board["templating"]["list"][1:]:
            query = variable["query"]["query"]
            name, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
            found = ask(prometheus, f"group by ({label}) ({filled(name)})")
            assert found
            assert all(label in each["metric"] for each in found)


def test_what_is_scraped_is_what_the_study_did(prometheus: str, study: Path) -> None:
    """After the queries above; exports are up to ten seconds old."""
    assert [name for name in METRICS if not ask(prometheus, f"ray_{name}")] == []
    (retries,) = ask(prometheus, "ray_hbpr_retries_total")
    assert float(retries["value"][1]) == 1.0
    assert retries["metric"]["experiment"] == EXPERIMENT
    (folder,) = (study / "studies" / EXPERIMENT).iterdir()
    assert retries["metric"]["study"] == folder.name
    train = float(ask(prometheus, "ray_hbpr_training_seconds_total")[0]["value"][1])
    evaluate = float(ask(prometheus, "ray_hbpr_evaluation_seconds_total")[0]["value"][1])
    spent = json.loads((folder / "spent.json").read_text())
    assert train + evaluate > 0.0
    assert abs(train + evaluate - spent["train_s"]) <= 25.0  # a trial at a time
    exported = _ended(prometheus)
    trials = read_journal(folder, plan_of_started(read_settings(folder)[0]).space)
    assert 0 < exported <= sum(trial.state != "RUNNING" for trial in trials)


def test_another_terminal_watches_it_until_ctrl_c(study: Path, token_head: TokenHead) -> None:
    command = [sys.executable, "-u", "-m", "hbpr", "watch", f"studies/{EXPERIMENT}"]
    env = token_head.env | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=study, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        line = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=60)
    assert re.search(r"^\d+/5000 trials: \d+ finished, .* 1 running; best val/ndcg_at_10 0\.", line)
    assert re.search(r"; nodes: \S+ 1 running, \d+ ended; .*, about .* left$", line.rstrip())
    assert (watching.returncode, errors) == (0, "")
