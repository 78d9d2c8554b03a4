"""Budgets without Ray: what Tune would tell is told by hand."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hbpr.names import EVAL_S, TRAIN_S
from hbpr.tracking.records import TrialRecord
from tune.settings import BudgetSettings
from tune.settings.goals import Goals, Objective
from tune.study.budget import Budget

GOALS = Goals((Objective("val/auc", "max"),))


def trial(number: int) -> Any:
    return SimpleNamespace(config={"trial": number})


def run(budget: Budget, number: int, value: float | None, seconds: float = 1.0) -> None:
    budget.on_trial_start(0, [], trial(number))
    result = {TRAIN_S: seconds, EVAL_S: 0.5, "best_value": value}
    budget.on_trial_result(0, [], trial(number), result)
    budget.on_trial_complete(0, [], trial(number))


def make(path: Path, before: Any = (), **limits: Any) -> Budget:
    return Budget(BudgetSettings(**limits), path / "spent.json", before=before, goals=GOALS)


def test_without_limits_nothing_ends(tmp_path: Path) -> None:
    budget = make(tmp_path)
    for number in range(5):
        run(budget, number, 0.1)
    assert not budget.stop_all()
    assert budget.reached is None


def test_target(tmp_path: Path) -> None:
    budget = make(tmp_path, target=0.5)
    run(budget, 0, 0.4)
    assert budget.reached is None
    run(budget, 1, 0.5)
    assert budget.reached == "sweep.budget.target: val/auc reached 0.5"


def test_plateau_counts_trials_that_ended_without_a_new_best(tmp_path: Path) -> None:
    budget = make(tmp_path, plateau=2)
    for number, value in enumerate([0.1, 0.1, 0.2, 0.1, None]):
        assert not budget.stop_all()
        run(budget, number, value)
    assert budget.stop_all()
    assert budget.reached == "sweep.budget.plateau: 2 trials without a new best value"


def test_a_trial_that_a_budget_ended_before_it_reported_is_no_miss(tmp_path: Path) -> None:
    best = TrialRecord(0, {}, "COMPLETE", 0.9, {1: 0.9}, None)
    ended = [TrialRecord(n, {}, "PRUNED", None, {}, None) for n in (1, 2)]
    stopped = TrialRecord(1, {}, "PRUNED", 0.1, {1: 0.1}, None)
    failed = TrialRecord(2, {}, "FAIL", None, {}, None)
    assert make(tmp_path, before=[best, *ended], plateau=2).reached is None
    assert make(tmp_path, before=[best, stopped, failed], plateau=2).reached is not None


def test_seconds_add_up_over_sittings(tmp_path: Path) -> None:
    first = make(tmp_path, train_s=4.0)
    run(first, 0, 0.1)
    run(first, 1, 0.1)
    assert first.reached is None
    second = make(tmp_path, train_s=4.0)
    run(second, 2, 0.1)
    assert second.reached == "sweep.budget.train_s: 4 s of training and evaluation"
    assert make(tmp_path, train_s=4.0).stop_all(), "a third sitting ends at once"


def test_the_clock_runs_while_trials_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = make(tmp_path, wall_s=10.0)
    now[0] += 60.0  # Ray starts
    budget.on_trial_start(0, [], trial(0))
    now[0] += 9.0
    assert not budget.stop_all()
    budget.save()
    again = make(tmp_path, wall_s=10.0)
    now[0] += 60.0
    assert not again.stop_all()
    again.on_trial_start(0, [], trial(1))
    now[0] += 1.0
    assert again.reached == "sweep.budget.wall_s: trials ran for 10 s"


def test_a_killed_driver_forgets_no_more_than_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first = make(tmp_path)
    first.on_trial_start(0, [], trial(0))
    for _ in range(5):  # one long trial, and no end of it
        now[0] += 7.0
        first.on_trial_result(0, [], trial(0), {TRAIN_S: 6.0, EVAL_S: 0.5, "best_value": 0.1})
    assert first.sitting_train_s == 32.5
    second = make(tmp_path, wall_s=28.0)
    assert second.sitting_train_s == 0.0
    assert second.wall_s == 28.0
    assert second.stop_all()
    assert make(tmp_path, train_s=26.0).stop_all()


def test_earlier_trials_count(tmp_path: Path) -> None:
    def ended(number: int, value: float) -> TrialRecord:
        return TrialRecord(number, {}, "COMPLETE", value, {1: value}, None)

    before = [ended(0, 0.1), ended(1, 0.3), ended(2, 0.2), ended(3, 0.1)]
    assert make(tmp_path, before, plateau=2).stop_all()
    assert not make(tmp_path, before, plateau=3).stop_all()
    assert make(tmp_path, before, target=0.3).stop_all()
