"""Ctrl-C in a terminal: SIGINT to the whole process group, Ray's processes included."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tune.interrupt import StopRequest
from tune.journal import read_journal
from tune.settings import load_study

CONFIG = """
data: {source: synthetic, synthetic: {n_users: 80, n_items: 50, n_shown: 25}}
training: {n_iter: 300, eval_every: 5, early_stopping_patience: 0}
mlflow: {experiment_name: stopped}
sweep:
  scheduler: {kind: none}
  num_trials: 5
  space:
    optimizer.lr: {low: 0.01, high: 0.5, log: true}
"""


def test_a_second_signal_is_not_waited_for() -> None:
    stop = StopRequest()
    with stop.polled():
        stop.request(signal.SIGINT, None)
        assert stop.stop_all()
        with pytest.raises(KeyboardInterrupt):
            stop.request(signal.SIGINT, None)


def test_outside_of_the_search_a_signal_interrupts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        StopRequest().request(signal.SIGTERM, None)


@pytest.mark.ray
def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "tune", "config.yaml", "--cpus", "1"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        folder = _wait_for_trials(process, tmp_path, n_ended=1)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert err.startswith(f"the study was stopped; its trials so far are kept in {folder}\n"), err
    (resume,) = [line.strip() for line in err.splitlines() if "--resume" in line]
    assert resume == f"python -m tune config.yaml --cpus 1 --resume {folder}"
    states = _states(tmp_path, folder)
    n_complete = states["COMPLETE"]
    assert 1 <= n_complete < 5
    statuses = _statuses(tmp_path)
    assert statuses.pop(f"study {folder.name}") == "KILLED"
    assert Counter(statuses.values())["FINISHED"] == n_complete
    assert set(statuses.values()) <= {"FINISHED", "KILLED"}

    again = subprocess.run(
        [sys.executable, *shlex.split(resume)[1:]],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert _states(tmp_path, folder) == {"COMPLETE": 5}
    assert json.loads((folder / "summary.json").read_text())["states"] == {"COMPLETE": 5}
    statuses = _statuses(tmp_path)
    assert len(statuses) == 6
    assert set(statuses.values()) == {"FINISHED"}
    assert _steps_written_twice(tmp_path) == []


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def _wait_for_trials(process: subprocess.Popen[str], above: Path, *, n_ended: int) -> Path:
    for _ in range(900):
        if process.poll() is not None:
            pytest.fail("the study ended by itself: " + process.communicate()[1])
        for journal in above.glob("studies/stopped/*/journal.log"):
            if _states(above, journal.parent)["COMPLETE"] >= n_ended:
                return journal.parent
        time.sleep(0.1)
    process.kill()
    pytest.fail("no trial ended in 90 s")


def _states(above: Path, folder: Path) -> Counter[str]:
    space = load_study(above / "config.yaml").search_space()
    return Counter(trial.state for trial in read_journal(folder, space))


def _statuses(above: Path) -> dict[str, str]:
    with sqlite3.connect(above / "mlflow.db") as database:
        rows = database.execute("select name, status from runs").fetchall()
    assert len(rows) == len(dict(rows)), rows
    return dict(rows)


def _steps_written_twice(above: Path) -> list[object]:
    with sqlite3.connect(above / "mlflow.db") as database:
        return database.execute(
            "select run_uuid, key, step from metrics group by 1, 2, 3 having count(*) > 1"
        ).fetchall()
