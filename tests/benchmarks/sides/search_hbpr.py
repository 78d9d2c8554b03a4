"""hbpr's side: a whole study, as ``hbpr tune`` runs it, with its records in MLflow."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search_common import main
from search_model import METRIC, SPACE, data_of, sections

from tune.settings import StudySettings, load_study
from tune.study import run_study


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run a study, and read its records.

    A request may hold ``config``, a file of settings to take instead of those of `sections`, and
    ``overrides`` of it; ``algorithm``, what decides; ``metrics``, further ones that trials report;
    and ``address``, a cluster to join, with ``at_a_time``, how many trials it runs.
    """
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    storage = str(Path.cwd() / "studies")
    if "config" in request:
        more = [f"mlflow.tracking_uri={uri}", f"sweep.storage={storage}"]
        settings, data = load_study(request["config"], [*request["overrides"], *more]), None
    else:
        data = data_of(request)
        sweep = {
            "metric": METRIC,
            "search": {"algorithm": request.get("algorithm", "tpe"), "seed": request["seed"]},
            "scheduler": {"kind": "none"},
            "num_trials": request["trials"],
            "space": {
                key: {"low": low, "high": high, "log": True} for key, (low, high) in SPACE.items()
            },
            "final": {"refit": "none", "register_model": False},
            "storage": storage,
            "max_concurrent": request.get("at_a_time"),
        }
        trial = sections(request)
        trial["training"]["metrics"] = request.get("metrics", [])
        settings = StudySettings.model_validate(
            {
                **trial,
                "mlflow": {"experiment_name": "speed", "tracking_uri": uri},
                "sweep": sweep,
            }
        )
    with watched() as driver:
        address = request.get("address")
        cpus = None if address else request["cpus"]
        result = run_study(settings, data=data, address=address, cpus=cpus, progress=False)
    with sqlite3.connect("mlflow.db") as database:
        runs = dict(
            database.execute(
                "select status, count(*) from runs where name like 'trial-%' group by 1"
            ).fetchall()
        )
    return {
        **read_events(result.folder),
        "states": result.states,
        "best": result.best.value,
        "runs": runs,
        "driver": driver,
        "ended": result.ended,
    }


@contextmanager
def watched(every_s: float = 0.2) -> Iterator[list[tuple[float, int, float]]]:
    """Note the time, this process's resident memory in bytes and its CPU seconds, until the end."""
    seen: list[tuple[float, int, float]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(every_s):
            lines = Path("/proc/self/status").read_text().splitlines()
            (line,) = (line for line in lines if line.startswith("VmRSS:"))
            seen.append((time.time(), int(line.split()[1]) * 1024, time.process_time()))

    thread = threading.Thread(target=look, daemon=True)
    if Path("/proc/self/status").exists():
        thread.start()
    try:
        yield seen
    finally:
        over.set()


def read_events(folder: Path) -> dict[str, Any]:
    """Read a study's records.

    Returns:
        ``first``: when the first trial began; ``ends``: when trials ended; ``work``: for each
        evaluation the time, the seconds of training and evaluation up to it, and its value;
        ``train``: for each the seconds of training alone; ``trials``: for each the trial's number.
    """
    begins: list[float] = []
    ends: list[float] = []
    work: list[tuple[float, float, float | None]] = []
    train: list[float] = []
    trials: list[int] = []
    for line in (folder / "outbox" / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event.get("trial") is None:
            continue
        at = event["at"] / 1000
        if event["event"] == "start":
            begins.append(at)
        elif event["event"] == "end":
            ends.append(at)
        else:
            metrics = event["metrics"]
            seconds = metrics["time/train_s"] + metrics["time/eval_s"]
            work.append((at, seconds, metrics.get(METRIC)))
            train.append(metrics["time/train_s"])
            trials.append(event["trial"])
    ended = {"first": min(begins), "ends": sorted(ends)}
    return {**ended, "work": work, "train": train, "trials": trials}


if __name__ == "__main__":
    main(search)
