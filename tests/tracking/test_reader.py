"""Studies read back from what MLflow holds of them."""

import itertools
import json
from typing import Any

import pytest

from hbpr.errors import ConfigError
from hbpr.tracking.findings import BaselineRecord
from hbpr.tracking.goals import Limit, Objective
from hbpr.tracking.reader import read_experiment
from hbpr.tracking.records import Parent
from hbpr.tracking.run_log import log_batch
from hbpr.tracking.store import ensure_experiment, open_client

METRIC, BYTES = "val/ndcg_at_10", "item_vector_bytes"
CLOCK = itertools.count(1)
SWEEP = {
    "objectives": [{"metric": METRIC, "mode": "max"}, {"metric": BYTES, "mode": "min"}],
    "limits": {BYTES: {"min": None, "max": 800.0}},
    "space": {"optimizer.lr": {"low": 0.01, "high": 0.5, "log": True}},
}


def add_run(
    uri: str,
    name: str,
    tags: dict[str, Any],
    curve: dict[int, float] | None = None,
    *,
    status: str = "FINISHED",
    params: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
) -> None:
    client, start = open_client(uri), 10_000 * next(CLOCK)
    created = client.create_run(
        ensure_experiment(client, "films", uri), tags=tags, run_name=name, start_time=start
    )
    points = [(METRIC, value, start, epoch) for epoch, value in (curve or {}).items()]
    points += [(key, value, start, 0) for key, value in (metrics or {}).items()]
    log_batch(client, created.info.run_id, metrics=points, params=params or {})
    client.set_terminated(created.info.run_id, status, start + 2_500)


@pytest.fixture
def films(tracking_uri: str) -> str:
    """A study of three trials that has ended, and a training run beside it."""
    study = {"hbpr.study_id": "s1", "hbpr.study": "study s1"}
    trial = study | {"hbpr.kind": "trial"}
    answer = {
        "hbpr.settings": json.dumps({"sweep": SWEEP}),
        "hbpr.best_trial": "0",
        "hbpr.best_value": "0.4",
        "hbpr.best_values": json.dumps({"optimizer.lr": 0.1}),
        "hbpr.front": "0,1",
    }
    metrics = {"test/auc": 0.7, "baseline/auc": 0.6, "ease/auc": 0.65}
    add_run(tracking_uri, "study s1", study | {"hbpr.kind": "study"} | answer, metrics=metrics)
    lr = {"optimizer.lr": 0.1, "model.hidden": [64, 32], "data.name": "a b"}
    add_run(tracking_uri, "trial-000", trial | {"hbpr.trial": "0"}, {4: 0.4, 2: 0.3}, params=lr)
    copy = {"hbpr.parent": "0", "hbpr.parent_epoch": "4", "hbpr.replaces": "2"}
    add_run(
        tracking_uri, "trial-001", trial | {"hbpr.trial": "1"} | copy, {2: 0.2}, status="KILLED"
    )
    add_run(tracking_uri, "trial-002", trial | {"hbpr.trial": "2"}, status="FAILED")
    add_run(tracking_uri, "by hand", {"hbpr.kind": "train"}, {5: 0.1}, metrics={"test/auc": 0.5})
    return tracking_uri


def test_a_study_comes_back_from_its_runs(films: str) -> None:
    study, alone = read_experiment(films, "films", METRIC)
    assert (study.identity.study_id, study.identity.name) == ("s1", "study s1")
    assert [trial.state for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    first, second, third = study.trials
    assert (first.reports, first.value, first.best_epoch) == ({2: 0.3, 4: 0.4}, 0.4, 4)
    assert first.values == {"optimizer.lr": 0.1, "model.hidden": [64, 32], "data.name": "a b"}
    assert second.parent == Parent(0, 4, 2)
    assert (third.value, third.reports) == (None, {})
    assert study.goals.objectives == (Objective(METRIC, "max"), Objective(BYTES, "min"))
    assert study.goals.limits == (Limit(BYTES, None, 800.0),)
    assert study.space == SWEEP["space"]
    assert study.winner is not None
    assert (study.best, study.front) == (first, [first, second])
    assert (study.winner.value, study.winner.epochs) == (0.4, 4)
    assert study.winner.test == {"test/auc": 0.7}
    assert study.baselines == (
        BaselineRecord("popularity", "popularity", test={"test/auc": 0.6}),
        BaselineRecord("ease", "EASE", test={"test/auc": 0.65}),
    )
    assert study.times is not None
    assert study.times.wall_s == 2.5

    assert alone.identity.study_id == ""
    (trained,) = alone.trials
    assert (trained.number, trained.value) == (-1, 0.1)
    assert trained.run is not None
    assert (trained.run.kind, trained.run.name) == ("train", "by hand")
    assert trained.run.metrics["test/auc"] == 0.5
    assert (alone.winner, alone.baselines, alone.settings) == (None, (), {})


def test_one_study_and_another_metric(films: str) -> None:
    (study,) = read_experiment(films, "films", METRIC, "s1")
    assert len(study.trials) == 3
    with pytest.raises(ConfigError, match="no trial of a study 's2'"):
        read_experiment(films, "films", METRIC, "s2")
    study, alone = read_experiment(films, "films", "test/auc")
    assert study.goals.objectives == (Objective("test/auc", "max"),)
    assert [trial.value for trial in study.trials] == [None, None, None]
    assert alone.trials[0].value == 0.5
