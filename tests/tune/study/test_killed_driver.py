"""SIGKILL of the driver at some moment, then `hbpr study resume`: nothing lost, nothing twice."""

import json
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hbpr.tracking.records import TrialRecord
from tune.commands import study as study_commands
from tune.settings import make_plan
from tune.storage.folder import read_settings
from tune.storage.trials import read_journal

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1200)]

N_TRIALS = 24
CONFIG = f"""
data: {{source: synthetic, synthetic: {{n_users: 200, n_items: 100, n_shown: 40}}}}
training: {{n_iter: 30, eval_every: 3, early_stopping_patience: 0}}
mlflow: {{experiment_name: killed}}
sweep:
  scheduler: {{kind: asha, grace_period: 6, reduction_factor: 3}}
  num_trials: {N_TRIALS}
  max_concurrent: 1
  space:
    model.n_latent: [16, 32, 64]
    optimizer.lr: {{low: 0.01, high: 0.5, log: true}}
    optimizer.reg_user: {{low: 0.0001, high: 0.1, log: true}}
"""


def kill_when(terminal: Any, process: "subprocess.Popen[str]", ready: Callable[[], bool]) -> None:
    """Kill a driver, and nothing but it, when something is so."""
    terminal.wait_until(ready, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended"


def study_of(above: Path) -> Path:
    (path,) = above.glob("studies/killed/*")
    return path


def n_events(above: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in above.glob("studies/*/*/journal.log"))


def journal(folder: Path) -> list[TrialRecord]:
    return read_journal(folder, make_plan(read_settings(folder)[0]).space)


def told(trials: list[TrialRecord]) -> list[Any]:
    return [(t.number, t.values, t.state, t.value, t.reports) for t in trials]


@pytest.fixture(scope="module", autouse=True)
def temporary() -> Iterator[Path]:
    """A temporary folder for these drivers alone; short, as their sockets' paths must be."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, terminal: Any) -> Path:
    above = tmp_path_factory.mktemp("undisturbed")
    (above / "config.yaml").write_text(CONFIG)
    terminal.run(above, "tune", "config.yaml", "--cpus", "1", "--no-progress")
    return study_of(above)


@pytest.mark.usefixtures("tracking_uri")
def test_a_study_killed_again_and_again_ends_as_if_nothing_had_been(
    undisturbed: Path, tmp_path: Path, terminal: Any, temporary: Path
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    whole = (undisturbed / "journal.log").read_bytes().count(b"\n")
    first, second = whole // 4, whole * 2 // 3  # the second when it was resumed
    command = ["tune", "config.yaml", "--cpus", "1", "--no-progress"]
    for moment in (first, second):
        process = terminal.start(tmp_path, *command)
        kill_when(terminal, process, lambda: n_events(tmp_path) >= moment)  # noqa: B023
        folder = study_of(tmp_path)
        command = ["study", "resume", str(folder), "--cpus", "1", "--no-progress"]
    assert len(left_behind(temporary)) == 1, "of the last driver; it removed the first's"
    said, _ = terminal.run(tmp_path, *command)

    trials = journal(folder)
    assert told(trials) == told(journal(undisturbed)), f"killed at {first} and {second} of {whole}"
    assert f"{N_TRIALS} trials" in said
    check_records(tmp_path, folder, trials)
    ours, theirs = (
        json.loads((each / "summary.json").read_text()) for each in (folder, undisturbed)
    )
    assert ours["winner"] | {"registered": 0} == theirs["winner"] | {"registered": 0}
    states = [[trial["state"] for trial in each["trials"]] for each in (ours, theirs)]
    assert states[0] == states[1]
    assert left_behind(temporary) == []


@pytest.mark.usefixtures("tracking_uri")
def test_with_several_trials_at_a_time_each_is_there_once(tmp_path: Path, terminal: Any) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = ["tune", "config.yaml", "--set", "sweep.max_concurrent=2", "--cpus", "2"]
    kill_when(terminal, terminal.start(tmp_path, *command), lambda: n_events(tmp_path) >= 150)
    folder = study_of(tmp_path)
    assert any(trial.state == "RUNNING" for trial in journal(folder))
    assert "unfinished" in study("list", "--storage", str(tmp_path / "studies"))
    terminal.run(tmp_path, "study", "resume", str(folder), "--cpus", "2")
    trials = journal(folder)
    assert [trial.number for trial in trials] == list(range(N_TRIALS))
    assert {trial.state for trial in trials} <= {"COMPLETE", "PRUNED"}
    check_records(tmp_path, folder, trials)
    assert f"{N_TRIALS} trials" in study("show", str(folder))


def study(*words: str) -> str:
    """`hbpr study`, in this process."""
    found = CliRunner().invoke(study_commands.study, words)
    assert found.exit_code == 0, found.output
    return found.output


def check_records(above: Path, folder: Path, trials: list[TrialRecord]) -> None:
    """MLflow holds each trial once, with its status and each step once."""
    words = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    expected = {f"trial-{t.number:03d}": words[t.state] for t in trials}
    with sqlite3.connect(above / "mlflow.db") as database:
        rows = database.execute("select name, status from runs").fetchall()
        twice = database.execute(
            "select run_uuid, key, step from metrics group by 1, 2, 3 having count(*) > 1"
        ).fetchall()
        steps = Counter(
            name
            for (name,) in database.execute(
                "select name from runs join metrics using (run_uuid) where key = 'val/ndcg_at_10'"
            )
        )
    assert sorted(rows) == sorted([*expected.items(), (f"study {folder.name}", "FINISHED")])
    assert twice == []
    assert steps == {f"trial-{t.number:03d}": len(t.reports) for t in trials}


def left_behind(temporary: Path) -> list[str]:
    """Folders of private Rays whose driver is gone."""
    from cluster.connect.ray import _LOCK, _PREFIX
    from hbpr.files import is_held

    found = temporary.glob(f"{_PREFIX}*/{_LOCK}")
    return [str(path) for path in found if not is_held(path)]
