"""Ctrl-C in a terminal: SIGINT to the whole process group, Ray's processes included."""

import json
import os
import re
import shlex
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tune.settings import load_study
from tune.storage.trials import read_journal
from tune.study.interrupt import StopRequest

CONFIG = """
data: {source: synthetic, synthetic: {n_users: 80, n_items: 50, n_shown: 25}}
training: {n_iter: 150, eval_every: 5, early_stopping_patience: 0}
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
@pytest.mark.usefixtures("tracking_uri")
def test_ctrl_c_and_resume(terminal: Any, runs: Any, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ["config.yaml", "--cpus", "1"]
    process = terminal.start(tmp_path, *words, program=terminal.TUNE)
    terminal.wait_until(lambda: _has_ended_a_trial(tmp_path), process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = terminal.end(process, code=130)

    (folder,) = tmp_path.glob("studies/stopped/*")
    assert err.startswith(f"the study was stopped; its trials so far are kept in {folder}\n"), err
    (resume,) = [line.strip() for line in err.splitlines() if "--resume" in line]
    assert resume == f"python -m tune config.yaml --cpus 1 --resume {folder}"
    n_complete = _states(tmp_path)["COMPLETE"]
    assert 1 <= n_complete < 5
    statuses = runs()
    assert statuses.pop(f"study {folder.name}") == "KILLED"
    assert Counter(statuses.values())["FINISHED"] == n_complete
    assert set(statuses.values()) <= {"FINISHED", "KILLED"}

    said, _ = terminal.run(tmp_path, *shlex.split(resume)[3:], program=terminal.TUNE)
    assert _states(tmp_path) == {"COMPLETE": 5}
    summary = json.loads((folder / "summary.json").read_text())
    assert [trial["state"] for trial in summary["trials"]] == ["COMPLETE"] * 5
    assert summary["times"]["before_s"] > 0.0
    (total,) = set(re.findall(r"5 trials .* in .* s, (after .* in earlier sittings)", said))
    assert f", {total}; MLflow" in (folder / "summary.html").read_text()
    assert re.search(r"5/5 trials: 5 finished, 0 stopped.* over all sittings\)", said)
    statuses = runs()
    assert len(statuses) == 6
    assert set(statuses.values()) == {"FINISHED"}
    assert _steps_written_twice(tmp_path) == []


def _has_ended_a_trial(above: Path) -> bool:
    """Look at the bytes alone: reading a journal takes time that the study needs."""
    paths = above.glob("studies/stopped/*/journal.log")
    return any(b'"state":1,' in path.read_bytes() for path in paths)


def _states(above: Path) -> Counter[str]:
    """How many trials are in each state, by the journal."""
    space = load_study(above / "config.yaml").space
    folders = [path.parent for path in above.glob("studies/stopped/*/journal.log")]
    return Counter(trial.state for each in folders for trial in read_journal(each, space))


def _steps_written_twice(above: Path) -> list[object]:
    with sqlite3.connect(above / "mlflow.db") as database:
        return database.execute(
            "select run_uuid, key, step from metrics group by 1, 2, 3 having count(*) > 1"
        ).fetchall()
