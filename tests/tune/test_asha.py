"""Successive halving in a real Ray: trials that are held and go on, studies that are stopped."""

import signal
import sqlite3

import pytest

from tune.asha import HalvingScheduler, HalvingSearcher
from tune.interrupt import StudyInterrupted
from tune.journal import read_journal
from tune.schedulers import Brackets
from tune.study import run_study

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("shared_ray")]

RUNGS = (1, 4)
SWEEP = {
    "scheduler": {"kind": "asha", "grace_period": 1, "reduction_factor": 4},
    "num_trials": 18,
    "max_concurrent": 1,
    "space": {
        "model.n_latent": [4, 8],
        "optimizer.lr": {"low": 0.001, "high": 0.5, "log": True},
        "optimizer.reg_user": {"low": 0.0, "high": 0.2},
    },
}
TRAINING = {"n_iter": 10, "eval_every": 3}


@pytest.fixture
def halved(small_study, tracking_uri):
    def make(sweep=None, **sections):
        return small_study(SWEEP | (sweep or {}), training=TRAINING, **sections)

    return make


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, study_in, shared_ray):
    """What the study comes to, one trial after another, if nothing happens to it; who went on."""
    released, release = [], HalvingSearcher.release
    settings = study_in(tmp_path_factory.mktemp("undisturbed"), SWEEP, training=TRAINING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            HalvingSearcher,
            "release",
            lambda self, trial_id: (released.append(trial_id), release(self, trial_id)),
        )
        result = run_study(settings, progress=False)
    return result, settings, len(released)


def told(result):
    return [(t.number, t.values, t.state, t.value, t.epochs) for t in result.trials]


def states_in_mlflow(result):
    with sqlite3.connect(result.tracking_uri.removeprefix("sqlite:///")) as database:
        rows = database.execute(
            "select status from runs join tags using (run_uuid) "
            "where key = 'hbpr.kind' and value = 'trial'"
        ).fetchall()
    return sorted(status for (status,) in rows)


def test_trials_end_at_rungs_and_the_best_went_on(undisturbed):
    result, settings, n_released = undisturbed
    trials = read_journal(result.folder, settings.search_space())
    assert n_released > 0
    assert {t.state for t in trials} == {"COMPLETE", "PRUNED"}
    assert {max(t.reports) for t in trials if t.state == "PRUNED"} <= set(RUNGS)
    for rung, following in zip(RUNGS, (4, 10), strict=True):
        came = sorted((t.reports[rung] for t in trials if rung in t.reports), reverse=True)
        went_on = [t.reports[rung] for t in trials if rung in t.reports and max(t.reports) > rung]
        assert came[0] in went_on
        # the search improves, so that some go on that later ones would have kept back
        assert len(came) // 4 <= len(went_on) < len(came)
        assert all(following in t.reports for t in trials if max(t.reports) > rung)
    assert not any((result.folder / "checkpoints").glob("*"))
    expected = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
    assert states_in_mlflow(result) == sorted(expected[t.state] for t in trials)


def test_a_trial_that_was_held_is_the_one_that_was_not(undisturbed, halved):
    """Going on from a rung's checkpoint changes nothing: without a rule the same values come."""
    result, settings, _ = undisturbed
    space = settings.search_space()
    kept = [t for t in read_journal(result.folder, space) if t.state == "COMPLETE"]
    points = [dict(t.values) for t in kept]
    sweep = {"scheduler": {"kind": "none"}, "start_with": points, "num_trials": len(points)}
    again = run_study(halved(sweep), progress=False)
    for one, other in zip(kept, read_journal(again.folder, space), strict=True):
        assert {e: one.reports[e] for e in other.reports} == other.reports


def test_interrupted_and_resumed_again_and_again(halved, undisturbed, monkeypatch):
    expected, _, _ = undisturbed
    space = halved().search_space()
    n_reports = sum(len(t.reports) for t in read_journal(expected.folder, space))
    moments = {2, 5, n_reports // 2, n_reports - 2}
    hear = HalvingScheduler.on_trial_result

    def hear_and_interrupt(self, controller, trial, result):
        decision = hear(self, controller, trial, result)
        reported = sum(len(t.reports) for t in self._searcher.searcher.trials())
        for moment in sorted(moments):
            if reported >= moment:
                moments.remove(moment)
                signal.raise_signal(signal.SIGINT)
                break
        return decision

    monkeypatch.setattr(HalvingScheduler, "on_trial_result", hear_and_interrupt)
    settings, folder, n_stopped = halved(), None, 0
    while True:
        try:
            result = run_study(settings, progress=False, resume=folder)
        except StudyInterrupted as stopped:
            folder, n_stopped = stopped.folder, n_stopped + 1
        else:
            break
    assert moments == set()
    assert n_stopped >= 3  # two moments may fall into the end of one sitting
    assert told(result) == told(expected)
    assert len(states_in_mlflow(result)) == SWEEP["num_trials"]
    assert "RUNNING" not in states_in_mlflow(result)


@pytest.mark.parametrize("kind", ["asha", "hyperband"])
def test_several_at_a_time(halved, kind):
    scheduler = SWEEP["scheduler"] | {"kind": kind}
    result = run_study(halved({"scheduler": scheduler, "max_concurrent": 2}), progress=False)
    assert len(result.trials) == SWEEP["num_trials"]
    assert {t.state for t in result.trials} == {"COMPLETE", "PRUNED"}
    assert result.best.state == "COMPLETE"


def test_a_study_too_small_to_halve_still_finishes_its_best(halved):
    for n_trials in (1, 3):
        result = run_study(halved({"num_trials": n_trials}), progress=False)
        assert [t.state for t in result.trials].count("COMPLETE") == 1


def test_what_is_held_when_a_budget_ends_the_study_is_stopped(halved, monkeypatch):
    n_held = []
    report = Brackets.settle

    def settle(self, *, last=False):
        found = report(self, last=last)
        n_held.append(sum(len(bracket.held) for bracket in self._brackets))
        return found

    monkeypatch.setattr(Brackets, "settle", settle)
    result = run_study(halved({"budget": {"target": 1e-6}}), progress=False)
    assert n_held
    assert "RUNNING" not in {t.state for t in result.trials} | set(states_in_mlflow(result))
