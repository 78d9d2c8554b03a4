"""Metrics of recommended lists as objectives and limits of a study."""

import pytest
from pydantic import ValidationError

from tune.settings import StudySettings, make_plan

NDCG, GINI, ARP = "val/ndcg_at_10", "val/gini_at_10", "val/arp_at_20"
SPACE = {"optimizer.lr": [0.1, 0.2]}


def made(sweep, training=None):
    return StudySettings.model_validate(
        {"sweep": {"space": SPACE} | sweep, "training": training or {}}
    )


def test_what_objectives_and_limits_name_is_reported_by_trials():
    study = made(
        {
            "objectives": [{"metric": NDCG}, {"metric": GINI}],
            "limits": {ARP: {"max": 99}, "val/coverage_at_10": {"min": 0.1}, GINI: {"max": 0.9}},
        },
        {"metrics": ["novelty"]},
    )
    assert set(study.training.metrics) == {"novelty", "arp", "coverage", "gini"}
    assert study.training.monitor == NDCG
    assert make_plan(study).base.training.metrics == study.training.metrics
    goals = study.sweep.goals()
    assert [each.mode for each in goals.objectives] == ["max", "min"]
    assert goals.losses({NDCG: 0.2, GINI: 0.7}) == (-0.2, 0.7)
    inside = {ARP: 99.0, "val/coverage_at_10": 0.1, GINI: 0.9}
    assert goals.feasible(inside)
    assert not any(
        goals.feasible(inside | worse)
        for worse in ({ARP: 99.1}, {"val/coverage_at_10": 0.09}, {GINI: 0.91})
    )


def test_settings_are_the_same_once_more():
    study = made({"objectives": [{"metric": NDCG}, {"metric": GINI}]})
    assert StudySettings.model_validate(study.model_dump(mode="json")) == study
    assert StudySettings.model_validate_json(study.model_dump_json()) == study


def test_nothing_is_added_without_them():
    assert made({}).training.metrics == ()


@pytest.mark.parametrize(
    ("sweep", "training", "said"),
    [
        ({"metric": GINI}, {}, "better when lower"),
        ({"metric": "val/novelty_at_10"}, {}, "a metric of what users chose"),
        ({"objectives": [{"metric": GINI}, {"metric": NDCG}]}, {}, "the first picks each trial's"),
        (
            {"objectives": [{"metric": "val/coverage_at_10"}, {"metric": NDCG}]},
            {},
            "a metric of what users chose, such as val/ndcg_at_10, got val/coverage_at_10",
        ),
        (
            {"objectives": [{"metric": NDCG}, {"metric": GINI, "mode": "max"}]},
            {},
            "mode must be min",
        ),
        ({"limits": {"val/gini_at_7": {"max": 0.5}}}, {}, "needs 7 in training.top_k"),
        ({"limits": {"val/gini": {"max": 0.5}}}, {}, "gini_at_10"),
        ({"space": {"training.metrics": [["gini"], []]}}, {}, "training.metrics changes what is"),
        ({}, {"metrics": ["val/gini_at_10"]}, "without part and k"),
        ({}, {"metrics": ["ndcg"]}, "are always reported"),
        ({}, {"metrics": ["page_share"]}, "One of coverage, novelty, diversity, arp, gini"),
        ({}, {"monitor": ARP, "top_k": [20]}, "better when lower"),
    ],
)
def test_what_cannot_be_is_refused(sweep, training, said):
    with pytest.raises(ValidationError) as refused:
        made(sweep, training)
    assert said in str(refused.value)
