"""Kill the driver of whole studies at random moments, resume them, and look for what was lost.

Every study has one worker and the same seed. Its driver is sent SIGKILL at random moments, and it
is taken up again by ``hbpr study resume`` until it comes to its end. Then the journal and MLflow
must hold each trial exactly once, none of them running and no epoch twice, and trials, values and
winner must be those of the same study undisturbed.
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

from tune.settings import make_plan
from tune.storage.folder import read_settings
from tune.storage.trials import read_journal

CONFIG = """
data: {{source: synthetic, synthetic: {{n_users: 200, n_items: 100, n_shown: 40}}}}
training: {{n_iter: 30, eval_every: 3, early_stopping_patience: 0}}
mlflow: {{experiment_name: killed}}
sweep:
  search: {{algorithm: tpe, seed: {seed}}}
  scheduler: {{kind: asha, grace_period: 6, reduction_factor: 3}}
  num_trials: {n_trials}
  max_concurrent: 1
  space:
    model.n_latent: [16, 32, 64]
    optimizer.lr: {{low: 0.01, high: 0.5, log: true}}
    optimizer.reg_user: {{low: 0.0001, high: 0.1, log: true}}
"""
STATES = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


def start(above: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Start ``hbpr`` in a process group of its own."""
    with (above / "said.txt").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", "from hbpr.cli.main import main; main()", *words],
            cwd=above,
            env=harness.surroundings(1),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def n_events(above: Path) -> int:
    """Lines of the study's journal by now."""
    return sum(path.read_bytes().count(b"\n") for path in above.glob("studies/*/*/journal.log"))


def run(above: Path, words: list[str]) -> float:
    """Run ``hbpr`` to its end; return the seconds it took."""
    begun = time.monotonic()
    if start(above, *words).wait():
        raise RuntimeError((above / "said.txt").read_text()[-2000:])
    return time.monotonic() - begun


def study_of(above: Path) -> Path:
    """The one study below a folder."""
    (path,) = above.glob("studies/killed/*")
    return path


def kill_at(process: "subprocess.Popen[bytes]", above: Path, moment: int, after_s: float) -> str:
    """SIGKILL a driver, and nothing but it, some time after its journal has reached a length.

    Returns:
        Where that was, in words; empty where it ended before.
    """
    while process.poll() is None and n_events(above) < moment:
        time.sleep(0.01)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return f"{n_events(above)}" if process.returncode == -signal.SIGKILL else ""


def look(above: Path) -> dict[str, Any]:
    """What the journal and MLflow hold, in numbers that can be compared."""
    folder = study_of(above)
    trials = read_journal(folder, make_plan(read_settings(folder)[0]).space)
    with sqlite3.connect(above / "mlflow.db") as database:
        runs = database.execute("select name, status from runs where name like 'trial-%'")
        runs = sorted(runs.fetchall())
        twice = database.execute(
            "select count(*) from (select 1 from metrics group by run_uuid, key, step "
            "having count(*) > 1)"
        ).fetchone()[0]
        points = dict(
            database.execute(
                "select name, count(*) from runs join metrics using (run_uuid) "
                "where key = 'val/ndcg_at_10' group by name"
            ).fetchall()
        )
    names = {f"trial-{trial.number:03d}": trial for trial in trials}
    summary = json.loads((folder / "summary.json").read_text())
    return {
        "journal": len(trials),
        "runs": len(runs),
        "running": sum(status == "RUNNING" for _, status in runs)
        + sum(trial.state == "RUNNING" for trial in trials),
        "twice": twice + len(runs) - len(dict(runs)),
        "lost": sum(
            dict(runs).get(name) != STATES.get(trial.state)
            or points.get(name, 0) != len(trial.reports)
            for name, trial in names.items()
        ),
        "told": [[t.number, t.values, t.state, t.value, sorted(t.reports.items())] for t in trials],
        "winner": summary["winner"]["number"],
        "test": summary["winner"]["test"],
    }


def disturbed(above: Path, whole: int, n_kills: int, rng: random.Random) -> dict[str, Any]:
    """Run one study, killed again and again; return what `look` finds, and where it was killed."""
    command = ["tune", "config.yaml", "--cpus", "1", "--no-progress"]
    kills = []
    for moment in sorted(rng.sample(range(whole), n_kills)):
        where = kill_at(start(above, *command), above, moment, rng.uniform(0.0, 0.05))
        if not where:
            break
        kills.append(where)
        if list(above.glob("studies/killed/*/settings.json")):
            folder = str(study_of(above))
            command = ["study", "resume", folder, "--cpus", "1", "--no-progress"]
    if not (study_of(above) / "summary.json").exists():
        run(above, command)
    return look(above) | {"kills": kills}


def prepare(above: Path, options: Any) -> Path:
    """Make a folder with the study's settings."""
    above.mkdir()
    config = CONFIG.format(seed=options.seed, n_trials=options.trials)
    (above / "config.yaml").write_text(config)
    return above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--kills", type=int, default=3, help="of each study; default 3")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, and of all studies")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    rows, found = [], []
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        above = prepare(Path(scratch) / "undisturbed", options)
        run(above, ["tune", "config.yaml", "--cpus", "1", "--no-progress"])
        other, whole = look(above), n_events(above)
    harness.say(f"undisturbed: {other['journal']} trials, {whole} lines of the journal")
    for number in range(options.studies):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            above = prepare(Path(scratch) / "killed", options)
            told = disturbed(above, whole, options.kills, rng)
        same = all(told[key] == other[key] for key in ("told", "winner", "test"))
        right = same and (told["journal"], told["runs"]) == (options.trials, options.trials)
        right = right and not (told["running"] or told["twice"] or told["lost"])
        found.append({k: v for k, v in told.items() if k != "told"} | {"same": same, "ok": right})
        rows.append(
            [
                str(number + 1),
                f"{', '.join(told['kills'])} of {whole}",
                *(str(told[key]) for key in ("journal", "runs", "lost", "twice", "running")),
                f"trial {told['winner']}, {'the same' if same else '**another study**'}",
                "yes" if right else "**no**",
            ]
        )
        harness.say(" | ".join(rows[-1]))
    header = [
        "study",
        "killed at journal line",
        "trials in journal",
        "runs in MLflow",
        "lost",
        "twice",
        "RUNNING",
        "winner, against undisturbed",
        "right",
    ]
    text = f"{__doc__.strip()}\n\n{harness.table(header, rows)}"
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "Killed drivers", settings, found, text)
    raise SystemExit(not all(each["ok"] for each in found))


if __name__ == "__main__":
    main()
