"""A study's record: what it says, and the way through JSON and back."""

import json
import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from hbpr.tracking import findings, records
from hbpr.tracking.findings import (
    BaselineRecord,
    Comparison,
    Effect,
    Finalist,
    Findings,
    Importance,
    RankCorrelation,
    Stage,
    Winner,
)
from hbpr.tracking.goals import Goals, Limit, Objective
from hbpr.tracking.records import (
    Identity,
    Origin,
    Parent,
    RunRecord,
    StudyRecord,
    Times,
    Tracking,
    TrialRecord,
)
from hbpr.tracking.records_json import as_json, as_text, from_json
from hbpr.tracking.registry import Registered

AUC, BYTES = "val/auc", "item_vector_bytes"
VALUES: dict[str, Any] = {"optimizer.lr": 0.1, "model": {"kind": "mf", "n_latent": 8}}
RECORD = StudyRecord(
    identity=Identity("s1", "study s1", "films", "/studies/films/s1", "/studies/films/s1/model"),
    tracking=Tracking("sqlite:///mlflow.db", "r1", "/#/experiments/1", 12.0, "partial"),
    goals=Goals((Objective(AUC, "max"), Objective(BYTES, "min")), (Limit(BYTES, None, 2000.0),)),
    trials=(
        TrialRecord(0, VALUES, "COMPLETE", 0.4, {2: 0.3, 4: 0.4}, 1.5, {4: {AUC: 0.4, BYTES: 1e3}}),
        TrialRecord(1, VALUES, "COMPLETE", 0.5, {2: 0.5}, 1.5, {2: {AUC: 0.5, BYTES: 3e3}}),
        TrialRecord(2, {}, "FAIL", None),
        TrialRecord(
            3,
            VALUES,
            "PRUNED",
            0.1,
            {2: 0.1},
            parent=Parent(0, 4, 2),
            run_id="r9",
            run=RunRecord("trial-003", "trial", 1, 2, {"best/auc": 0.1}),
        ),
    ),
    settings={"sweep": {"space": {"optimizer.lr": {"low": 0.1, "high": 1.0, "log": True}}}},
    winner=Winner(
        0, VALUES, 0.4, 4, {AUC: 0.4}, {"test/auc": 0.3}, (Stage(1, 0, VALUES),), Registered(*"a12")
    ),
    baselines=(BaselineRecord("ease", "EASE", {AUC: 0.3}, {"test/auc": 0.2}),),
    findings=Findings(
        (Finalist(0, (0.4, 0.41), 0.405, 0.01, 4, {AUC: 0.405}),),
        (Comparison("EASE", 0.1, 0.05, 0.15, 0.01, 80),),
        (Importance(AUC, 24, 9, (Effect("optimizer.lr", 0.02, 0.01, 0.03),)),),
        (RankCorrelation(2, 0.75, 9),),
        (0,),
    ),
    times=Times(75.0, 50.0, 80.0, 2.0),
    origin=Origin({"{}": "abc"}, {"hbpr": "0.1.0"}),
    ended="sweep.budget.wall_s: trials ran for 50 s",
    notes=("one",),
)


@pytest.mark.parametrize(
    "record", [RECORD, StudyRecord(*[RECORD.identity, RECORD.tracking], RECORD.goals, ())]
)
def test_a_record_comes_back_from_its_json(record: StudyRecord) -> None:
    assert from_json(json.loads(as_text(record))) == record
    assert json.loads(as_text(record)) == as_json(record)


def test_what_json_has_no_number_for_comes_back_too() -> None:
    diverged = TrialRecord(0, {}, "FAIL", math.nan, {1: math.inf, 2: math.nan})
    early = replace(RECORD.findings, early=(RankCorrelation(2, math.nan, 3),))
    text = as_text(replace(RECORD, trials=(diverged,), findings=early))
    assert "NaN" not in text
    (trial,) = (back := from_json(json.loads(text))).trials
    assert trial.reports[1] == math.inf
    assert math.isnan(trial.reports[2])
    assert math.isnan(back.findings.early[0].tau)


@pytest.mark.parametrize("content", [{}, {"format": 3}, {"format": 2, "trials": []}])
def test_another_format_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"format 2, got|Field required|field"):
        from_json(content)


def test_a_record_says_what_follows_from_it() -> None:
    assert RECORD.metric == AUC
    assert RECORD.states == {"COMPLETE": 2, "FAIL": 1, "PRUNED": 1}
    assert RECORD.best == RECORD.trials[0]
    assert RECORD.front == [RECORD.trials[0]]
    assert RECORD.n_outside == 1
    assert list(RECORD.space) == ["optimizer.lr"]


def test_no_record_has_more_than_twelve_fields() -> None:
    for module in (records, findings):
        for each in vars(module).values():
            if isinstance(each, type) and is_dataclass(each):
                assert len(fields(each)) <= 12, each
