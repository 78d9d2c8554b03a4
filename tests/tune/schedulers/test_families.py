"""Trials of different kinds of models are not compared on their way."""

from dataclasses import dataclass

import pytest
from ray.tune.schedulers import TrialScheduler

from hbpr.tracking.records import TrialRecord
from tune.schedulers import AshaSettings, HyperbandSettings, MedianSettings, SchedulerContext

METRIC = "val/ndcg_at_10"
CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


@dataclass(frozen=True)
class FakeTrial:
    number: int
    values: dict

    @property
    def trial_id(self):
        return str(self.number)

    @property
    def config(self):
        return {"trial": self.number, "values": self.values}

    __hash__ = object.__hash__


def made(kind, before=(), **fields):
    context = SchedulerContext(metric=METRIC, max_epochs=9, n_trials=8, given=True, before=before)
    return kind(**fields).make(context)[1]


def added(scheduler, number, family):
    trial = FakeTrial(number, {"model": {"kind": family}} if number % 2 else {"model.kind": family})
    scheduler.on_trial_add(None, trial)
    return trial


def report(epoch, value):
    return {"epoch": epoch, METRIC: value}


@pytest.mark.parametrize("kind", [AshaSettings, HyperbandSettings, MedianSettings])
def test_a_trial_with_one_report_stops_nobody_of_another_family(kind):
    scheduler = made(kind, grace_period=1)
    for number in range(4):
        scheduler.on_trial_complete(None, added(scheduler, number, "ease"), report(1, 0.9))
    slow = added(scheduler, 4, "mf")
    for epoch in range(1, 9):
        assert scheduler.on_trial_result(None, slow, report(epoch, 0.01 * epoch)) == CONTINUE
    scheduler.on_trial_complete(None, slow, report(9, 0.1))


def test_within_a_family_the_weaker_one_is_stopped():
    scheduler = made(AshaSettings, grace_period=1, reduction_factor=2.0)
    good, weak = added(scheduler, 0, "mf"), added(scheduler, 1, "mf")
    assert scheduler.on_trial_result(None, good, report(1, 0.5)) == CONTINUE
    assert scheduler.on_trial_result(None, weak, report(1, 0.1)) == STOP


def test_a_resumed_study_knows_the_family_of_each_earlier_trial():
    before = [
        TrialRecord(number=n, state="COMPLETE", values={"model.kind": "ials"}, value=0.9,
                    reports={1: 0.9, 2: 0.9})
        for n in range(3)
    ]  # fmt: skip
    scheduler = made(AshaSettings, before, grace_period=1, reduction_factor=2.0)
    assert scheduler.on_trial_result(None, added(scheduler, 3, "mf"), report(1, 0.1)) == CONTINUE
    assert scheduler.on_trial_result(None, added(scheduler, 4, "ials"), report(1, 0.1)) == STOP
