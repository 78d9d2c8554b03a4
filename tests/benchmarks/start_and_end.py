# ruff: noqa: T201 - a program that reports on the terminal
"""From the command to the first trial, and from the last trial to the prompt, phase by phase.

    python tests/benchmarks/start_and_end.py             # three runs of the quick start
    python tests/benchmarks/start_and_end.py --fresh     # as on a machine that never ran hbpr

Run it on a quiet machine. Times are wall-clock seconds; the trials' own are those of MLflow.
"""

import argparse
import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What is asked of a warm machine with two cores.
GOALS = {"command to first trial": 7.0, "last trial to prompt": 1.5}
_TRIALS = """
    select min(start_time), max(end_time) from runs join tags using (run_uuid)
    where tags.key = 'hbpr.kind' and tags.value = 'trial'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="without anything compiled or kept")
    options = parser.parse_args()
    runs = [phases(options) for _ in range(options.runs)]
    print(table(runs))


def phases(options: argparse.Namespace) -> dict[str, float]:
    """Run one study and return the seconds of each phase."""
    with tempfile.TemporaryDirectory(prefix="hbpr-start-") as temporary:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if options.fresh:
            kept = {"NUMBA_CACHE_DIR": "numba", "XDG_CACHE_HOME": "cache"}
            environment |= {name: f"{temporary}/{folder}" for name, folder in kept.items()}
        command = [sys.executable, "-m", "hbpr", "tune", "quickstart"]
        # One finalist, once: what lies between the last trial and the prompt is the refit alone.
        changed = {"num_trials": options.trials, "final.top": 1, "final.seeds": 1}
        command += [f"--set=sweep.{key}={value}" for key, value in changed.items()]
        said: dict[str, float] = {}
        began = time.time()
        with subprocess.Popen(
            [*command, "--cpus", str(options.cpus)],
            cwd=temporary,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                for start in ("starting Ray", "compiling once", "Study "):
                    if line.startswith(start):
                        said.setdefault(start, time.time())
        ended = time.time()
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        with contextlib.closing(sqlite3.connect(f"{temporary}/mlflow.db")) as database:
            first, last = (at / 1000 for at in database.execute(_TRIALS).fetchone())
    return {
        "command to Ray's start (settings, data)": said["starting Ray"] - began,
        "Ray, imports, MLflow, workers": first - said["starting Ray"],
        "command to first trial": first - began,
        "trials": last - first,
        "refit, baselines, record": said["Study "] - last,
        "summary to prompt": ended - said["Study "],
        "last trial to prompt": ended - last,
    }


def table(runs: list[Mapping[str, float]]) -> str:
    """Return the phases as Markdown, a column a run, with the median."""
    heads = ["phase", *(f"run {k}" for k in range(1, len(runs) + 1)), "median", "goal"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in runs[0]:
        seconds = [run[name] for run in runs]
        cells = [*(f"{each:.2f}" for each in seconds), f"{statistics.median(seconds):.2f}"]
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        lines.append(f"| {' | '.join([name, *cells, goal])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
