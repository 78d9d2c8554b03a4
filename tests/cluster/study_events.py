"""A study of ml-1m that writes down its events, and what they say of lost work."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

N_TRIALS, EVERY = 24, 12
#: Epochs of the first trials, one on each node, which are interrupted: for longer than until a
#: checkpoint, also on a fast machine. Others have between `LEAST` and `MOST`.
FIRST, LEAST, MOST = 700, 60, 300

#: Runs a study and writes down each of its events.
DRIVER = """
import json, sys, time
from dataclasses import asdict
from tune.settings import load_study
from tune.study import run_study
with open(sys.argv[3], "a", buffering=1) as events:
    def note(event):
        kind = type(event).__name__
        events.write(json.dumps({"kind": kind, "at": time.time()} | asdict(event)) + "\\n")
    run_study(load_study(sys.argv[1]), address=sys.argv[2], progress=False, callbacks=[note])
"""
CONFIG = f"""
data: {{source: movielens, name: ml-1m, rating_threshold: 4.0}}
model: {{n_latent: 32}}
optimizer: {{name: sgd, lr: 0.05}}
training: {{n_iter: {FIRST}, eval_every: {EVERY}, early_stopping_patience: 0}}
mlflow: {{experiment_name: EXPERIMENT, tracking_uri: "sqlite:///SHARED/mlflow.db"}}
sweep:
  storage: STORAGE
  scheduler: {{kind: none}}
  search: {{algorithm: random, seed: 0}}
  num_trials: {N_TRIALS}
  space:
    training.n_iter: {{low: {LEAST}, high: {FIRST}, log: true}}
    optimizer.lr: {{low: 0.01, high: 0.1, log: true}}
  start_with:
    - {{training.n_iter: {FIRST}, optimizer.lr: 0.0982}}
    - {{training.n_iter: {FIRST}, optimizer.lr: 0.0985}}
    - {{training.n_iter: {FIRST}, optimizer.lr: 0.0990}}
  constraints: [training.n_iter <= {MOST} or optimizer.lr > 0.098]
  final: {{refit: none}}
"""


def events_of(path: Path) -> list[dict]:
    """Return the events so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def trained_s(events: list[dict], trial: int) -> float:
    """Return the seconds that a trial has trained so far."""
    return sum(
        event["seconds"]
        for event in events
        if event["kind"] == "TrialReport" and event["trial"] == trial
    )


def lost_seconds(events: list[dict]) -> dict[int, float]:
    """Return the seconds of work that was reported and done again, by trial."""
    done: dict[int, dict[int, float]] = defaultdict(dict)
    lost: Counter[int] = Counter()
    for event in events:
        if event["kind"] != "TrialReport":
            continue
        known = done[event["trial"]]
        if known and event["epoch"] <= max(known):
            again = [epoch for epoch in known if epoch >= event["epoch"]]
            lost[event["trial"]] += sum(known.pop(epoch) for epoch in again)
        elif known and event["epoch"] > max(known) + EVERY:
            raise AssertionError(f"trial {event['trial']} skipped from {max(known)} to {event}")
        known[event["epoch"]] = event["seconds"]
    return {trial: round(seconds, 1) for trial, seconds in lost.items()}


def trial_runs(database: Path, experiment: str) -> list[Run]:
    """Return the trials that MLflow knows of an experiment, if it knows that."""
    client = MlflowClient(f"sqlite:///{database}")
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs = client.search_runs([found.experiment_id], max_results=1000)
    return [run for run in runs if run.data.tags["hbpr.kind"] == "trial"]


def check_trials(database: Path, experiment: str, events: list[dict]) -> None:
    """All are there, in order, once; MLflow has every epoch of every one."""
    ends = [event for event in events if event["kind"] == "TrialEnd"]
    assert sorted(event["trial"] for event in ends) == list(range(N_TRIALS))
    assert {event["state"] for event in ends} == {"COMPLETE"}
    runs = trial_runs(database, experiment)
    assert len(runs) == N_TRIALS
    assert {run.info.status for run in runs} == {"FINISHED"}
    client = MlflowClient(f"sqlite:///{database}")
    for run in runs:
        n_iter = int(run.data.params["training.n_iter"])
        epochs = sorted({*range(EVERY, n_iter + 1, EVERY), n_iter})
        history = client.get_metric_history(run.info.run_id, "val/ndcg_at_10")
        assert [each.step for each in history] == epochs, run.data.tags
    restarts = sum(int(run.data.tags.get("hbpr.restarts", 0)) for run in runs)
    assert restarts >= 2, "both a killed host and a silent link interrupt a trial"
