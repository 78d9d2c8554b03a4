"""How long tables, a plot and the report take for many runs in a SQLite file.

The runs are generated and written to MLflow's tables directly, as MLflow's client takes an hour for
half a million points; what they hold is what a study of hbpr leaves. Then, each in this process:
`get_runs`, one plot, the report (seconds and CPU seconds), and in Chromium, where there is one,
opening the page and sorting its table. `--budget` makes a time above the project's goals an error.
"""

import argparse
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

METRIC = "val/ndcg_at_10"
GOALS = {"get_runs": 8.0, "plot": 30.0, "report": 60.0, "sorted": 2.0, "page_mb": 20.0}
SPACE = {
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "model.n_latent": [16, 32, 64],
    "training.batch_size": {"low": 64, "high": 4096},
}


def generate(path: Path, n_runs: int, n_steps: int, seed: int = 0) -> None:
    """Write a study of trials, a third of which ran to their end."""
    from hbpr.tracking.store import ensure_experiment, open_client

    uri = f"sqlite:///{path}"
    client = open_client(uri)
    experiment = ensure_experiment(client, "many", uri)
    settings = json.dumps({"sweep": {"space": SPACE}})
    common = {"hbpr.study": "study s1", "hbpr.study_id": "s1", "hbpr.exam": "a", "hbpr.data": "ml"}
    client.create_run(
        experiment,
        run_name="study s1",
        tags=common | {"hbpr.kind": "study", "hbpr.monitor": METRIC, "hbpr.settings": settings},
    )
    rng = np.random.default_rng(seed)
    began = 1_700_000_000_000
    with sqlite3.connect(path) as database:
        insert_run = (
            "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, "
            "artifact_uri, experiment_id, source_type, source_name, entry_point_name, user_id, "
            "source_version) VALUES (?, ?, ?, ?, ?, 'active', '', ?, 'LOCAL', '', '', '', '')"
        )
        point = (
            "INSERT INTO {} (key, value, timestamp, run_uuid, step, is_nan) "
            "VALUES (?, ?, ?, ?, ?, 0)"
        )
        for number in range(n_runs):
            run_id = f"{number:032x}"
            last = n_steps if rng.random() < 0.33 else int(rng.integers(1, n_steps))
            start = began + number * 1000
            lr, latent = 10 ** rng.uniform(-3, 0), int(rng.choice([16, 32, 64]))
            top = 0.3 - 0.05 * abs(np.log10(lr) + 1.5) + 0.0003 * latent
            values = top * (1 - np.exp(-np.arange(1, n_steps + 1) / 8))
            values += 0.002 * rng.standard_normal(n_steps)
            database.execute(
                insert_run,
                (
                    run_id,
                    f"trial-{number:03d}",
                    "FINISHED" if last == n_steps else "KILLED",
                    start,
                    start + 900 * last,
                    experiment,
                ),
            )
            points = [
                (METRIC, v, start + 900 * e, run_id, e) for e, v in enumerate(values.tolist(), 1)
            ]
            points += [
                ("time/train_s", 0.7, start + 900 * e, run_id, e) for e in range(1, n_steps + 1)
            ]
            best = int(np.argmax(values))
            points.append(("best/ndcg_at_10", values[best], start, run_id, best + 1))
            database.executemany(point.format("metrics"), points)
            latest = {key: each for each in points for key in [each[0]]}
            database.executemany(point.format("latest_metrics"), latest.values())
            params = {
                "optimizer.lr": lr,
                "model.n_latent": latent,
                "training.batch_size": int(rng.integers(64, 4096)),
            }
            database.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, json.dumps(value), run_id) for key, value in params.items()],
            )
            tags = common | {"hbpr.kind": "trial", "hbpr.trial": str(number)}
            database.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, value, run_id) for key, value in tags.items()],
            )


def timed(name: str, work: Callable[[], Any]) -> dict[str, float]:
    """Seconds that a call takes, and CPU seconds, which a busy machine does not change."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return {name: time.perf_counter() - began, f"{name}_cpu": time.process_time() - cpu}


def opened(page: Path) -> float | None:
    """Seconds from opening the page to its sorted table; None without a browser."""
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.set_default_timeout(300_000)
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_function("performance.getEntriesByName('table').length > 0")
        mark = "performance.getEntriesByName('{}')[0].startTime"
        table = float(tab.evaluate(mark.format("table")))
        sort = float(
            tab.evaluate("(at => { sortBy(0); return performance.now() - at })(performance.now())")
        )
        browser.close()
    return (table + sort) / 1000


def measure(folder: Path, n_runs: int, n_steps: int) -> dict[str, float | None]:
    """Generate the runs and measure all."""
    from dashboards import MLflowPlotter

    path = folder / "mlflow.db"
    page, figure = folder / "report.html", folder / "curves.png"
    found: dict[str, float | None] = {
        **timed("generate", lambda: generate(path, n_runs, n_steps)),
        **timed("get_runs", lambda: MLflowPlotter(path).get_runs("many")),
        **timed("plot", lambda: MLflowPlotter(path).plot("curves", "many").save(figure)),
        **timed("report", lambda: MLflowPlotter(path).report("many", page)),
    }
    found["page_mb"] = page.stat().st_size / 1e6
    found["sorted"] = opened(page)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> None:
    """Measure and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--budget", action="store_true", help="fail above the goals")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.runs, arguments.steps)
    over = []
    for name, value in found.items():
        goal = GOALS.get(name)
        said = "-" if value is None else f"{value:.2f}"
        sys.stdout.write(f"{name:12} {said:>10}  goal {goal or '-'}\n")
        if goal is not None and value is not None and value > goal:
            over.append(name)
    if arguments.budget and over:
        raise SystemExit(f"above the goal: {', '.join(over)}")


if __name__ == "__main__":
    main()
