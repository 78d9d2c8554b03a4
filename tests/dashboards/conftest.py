"""Runs in MLflow as hbpr's studies, single trainings and other tools leave them."""

import contextlib
import itertools
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboards import MLflowPlotter
from hbpr.tracking.run_log import log_batch
from hbpr.tracking.store import ensure_experiment, open_client

METRIC = "val/ndcg_at_10"
CLOCK = itertools.count(1)
SPACE = {
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "model.n_latent": [16, 32, 64],
    "model.item_bias": [False, True],
    "data.item_feature": ["metadata", "indicator"],
    "model.hidden": [[64, 32], [8]],
    "training.negatives": [{"kind": "uniform"}, {"kind": "mixed", "per_positive": 4}],
}


class Lab:
    """Adds runs to a database."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = open_client(uri)

    def run(
        self,
        name: str,
        values: list[float],
        params: dict[str, Any],
        *,
        status: str | None = "FINISHED",
        kind: str = "trial",
        study: str = "first",
        experiment: str = "films",
        tags: dict[str, str] | None = None,
        metrics: dict[str, float] | None = None,
    ) -> str:
        """Add a run that evaluates each fifth epoch; status None: it still runs."""
        known = {"hbpr.kind": kind} | (tags or {})
        if study:
            known |= {"hbpr.study": study, "hbpr.study_id": f"{study}-id"}
        if kind == "trial":
            known["hbpr.trial"] = name.rpartition("-")[2]
        start = 1_000 * next(CLOCK)
        created = self.client.create_run(
            ensure_experiment(self.client, experiment, self.uri),
            tags=known,
            run_name=name,
            start_time=start,
        )
        points = [(METRIC, value, start, 5 * i) for i, value in enumerate(values, 1)]
        if values and kind != "train":
            best = int(np.argmax(values))
            points.append(("best/ndcg_at_10", values[best], start, 5 * (best + 1)))
        points += [(key, value, start, 0) for key, value in (metrics or {}).items()]
        log_batch(self.client, created.info.run_id, metrics=points, params=params)
        if status is not None:
            self.client.set_terminated(created.info.run_id, status, start + 2_500)
        return str(created.info.run_id)

    def study(self, study: str, space: dict[str, Any], experiment: str, **tags: str) -> None:
        """Add the run of a study."""
        settings = {"sweep": {"space": space}, "data": {"name": "ml"}}
        known = {"hbpr.settings": json.dumps(settings), "hbpr.monitor": METRIC} | tags
        self.run(
            f"study {study}", [], {}, kind="study", study=study, experiment=experiment, tags=known
        )


@pytest.fixture
def lab(tracking_uri: str) -> Lab:
    return Lab(tracking_uri)


@pytest.fixture(scope="session")
def films_uri(empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study of twelve trials: finished, stopped and failed ones, settings of all kinds."""
    path = tmp_path_factory.mktemp("films") / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(empty_mlflow)) as source,
        contextlib.closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
    lab = Lab(f"sqlite:///{path}")
    rng = np.random.default_rng(0)
    effects = [["optimizer.lr", 0.05, 0.02, 0.08], ["model.n_latent", 0.01, -0.01, 0.03]]
    mattered = json.dumps([[METRIC, 24, 10, effects]])
    lab.study(
        "first",
        SPACE,
        "films",
        **{
            "hbpr.importance": mattered,
            "hbpr.best_trial": "0",
            "hbpr.best_value": "0.4",
            "hbpr.folder": "/my studies/films/first-id",
            "hbpr.better": "EASE",
            "hbpr.compared": json.dumps([["EASE", -0.02, -0.03, -0.01, 0.002, 943]]),
            "hbpr.validation": json.dumps(
                {
                    "n_users": 943,
                    "winner": {METRIC: 0.4, "val/auc": 0.9},
                    "baselines": {"ease": {METRIC: 0.42}},
                    "labels": {"ease": "EASE"},
                }
            ),
        },
    )
    for number in range(12):
        mixed = {"training.negatives.per_positive": 4} if number % 3 else {}
        settings: dict[str, Any] = {
            "optimizer.lr": 10.0 ** rng.uniform(-3, 0),
            "model.n_latent": int(rng.choice([16, 32, 64])),
            "model.item_bias": bool(number % 2),
            "data.item_feature": str(rng.choice(["metadata", "indicator"])),
            "model.hidden": [64, 32] if number % 3 else [8],
            "training.negatives.kind": "mixed" if mixed else "uniform",
            "training.batch_size": 4096,
        } | mixed
        if number == 0:
            values, status = [0.1, 0.4, 0.3, 0.2], "FINISHED"
        elif number == 11:
            values, status = [], "FAILED"
        elif number % 2:
            values, status = [0.01 * number], "KILLED"
        else:
            values, status = [0.1, 0.2, 0.02 * number], "FINISHED"
        lab.run(
            f"trial-{number:03d}",
            values,
            settings,
            status=status,
            tags={"hbpr.node": f"10.0.0.{number % 2}"},
            metrics={"time/train_s": 2.0},
        )
    for seed in range(2):
        repeat = {"hbpr.repeat_of": "0", "hbpr.seed": str(seed)}
        lab.run(f"repeat-000-seed-{seed}", [0.38 + 0.01 * seed], {}, kind="repeat", tags=repeat)
    return lab.uri


@pytest.fixture(scope="session")
def films(films_uri: str) -> MLflowPlotter:
    return MLflowPlotter(films_uri)
