"""Populations in a real Ray: what happens to whom, whatever the number of workers or faults."""

import json
import signal
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from hbpr.data import load_data
from hbpr.errors import ConfigError, StudyError
from hbpr.settings.load import with_values
from tune.answer.finalists import repeat_trial
from tune.answer.lineage import lineage, schedule_of
from tune.commands.simulate import simulate
from tune.forecast.curves import read_curves
from tune.schedulers import PbtSettings, SchedulerContext
from tune.schedulers.population import CHANGEABLE
from tune.schedulers.ray_pbt import PopulationScheduler, PopulationSearcher
from tune.settings import make_plan
from tune.storage.folder import read_settings
from tune.storage.trials import read_journal
from tune.study import run_study
from tune.study.interrupt import StudyInterrupted

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("shared_ray")]

SPACE = {
    "model.n_latent": [4, 8],
    "optimizer.lr": {"low": 0.001, "high": 0.5, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 0.2},
}
SWEEP = {
    "scheduler": {"kind": "pbt", "interval": 4, "quantile": 0.25},
    "search": {"algorithm": "random"},
    "num_trials": 6,
    "space": SPACE,
}
TRAINING = {"n_iter": 12, "eval_every": 2}


@pytest.fixture
def population(small_study, tracking_uri):
    def make(sweep=None, **sections):
        sections["training"] = TRAINING | sections.get("training", {})
        return small_study(SWEEP | (sweep or {}), **sections)

    return make


def told(result):
    return [(t.number, t.values, t.state, t.value, t.epochs, t.parent) for t in result.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, study_in, shared_ray):
    """What the study comes to if nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = study_in(folder, SWEEP | {"max_concurrent": 2}, training=TRAINING)
    return run_study(settings, progress=False)


def test_the_worst_end_and_copies_of_the_best_begin(undisturbed):
    trials = undisturbed.trials
    assert [trial.number for trial in trials] == list(range(10))
    assert [trial.parent is None for trial in trials] == [True] * 6 + [False] * 4
    space = read_journal(undisturbed.folder, _space(undisturbed))
    by_number = {trial.number: trial for trial in space}
    for epoch, numbers in ((4, (6, 7)), (8, (8, 9))):
        copies = [by_number[number] for number in numbers]
        alive = [
            t for t in space if epoch in t.reports and (t.parent is None or t.parent.epoch < epoch)
        ]
        ranked = sorted(alive, key=lambda t: -t.reports[epoch])
        assert len(ranked) == 6
        assert {copy.parent.replaces for copy in copies} == {t.number for t in ranked[-2:]}
        for copy in copies:
            assert copy.parent.epoch == epoch
            assert copy.parent.trial in {t.number for t in ranked[:2]}
            assert min(copy.reports) == epoch + 2
            parent = by_number[copy.parent.trial].values
            assert {k for k in parent if parent[k] != copy.values[k]} <= set(CHANGEABLE)
    states = {t.number: (t.state, t.epochs) for t in trials}
    replaced = {t.parent.replaces: t.parent.epoch for t in space if t.parent}
    assert states == {
        n: ("PRUNED", replaced[n]) if n in replaced else ("COMPLETE", 12) for n in range(10)
    }


def _space(result):
    return make_plan(read_settings(result.folder)[0]).space


def test_records(undisturbed):
    with sqlite3.connect(undisturbed.tracking_uri.removeprefix("sqlite:///")) as database:
        rows = database.execute(
            "select name, key, value from tags join runs using (run_uuid) "
            "where key in ('hbpr.parent', 'hbpr.parent_epoch', 'hbpr.schedule')"
        ).fetchall()
        runs = dict(database.execute("select name, status from runs"))
    parents = {name: value for name, key, value in rows if key == "hbpr.parent"}
    assert parents == {
        f"trial-{t.number:03d}": str(t.parent.trial)
        for t in undisturbed.trials
        if t.parent is not None
    }
    schedules = [value for _, key, value in rows if key == "hbpr.schedule"]
    assert len(runs) == 11
    assert list(runs.values()).count("KILLED") == 4
    stages = undisturbed.stages
    assert stages[-1].trial == undisturbed.best.number
    summary = json.loads((undisturbed.folder / "summary.json").read_text())
    assert [stage["first"] for stage in summary["winner"]["stages"]] == [
        stage.first for stage in stages
    ]
    if len(stages) > 1:
        (schedule,) = schedules
        assert f"(trial {stages[0].trial})" in schedule
        assert any(schedule in note for note in undisturbed.notes)
        assert schedule in (undisturbed.folder / "summary.txt").read_text()


def test_neither_one_worker_nor_finalists_change_a_trial(population, undisturbed):
    settings = population({"max_concurrent": 1, "final": {"top": 2, "seeds": 2}})
    result = run_study(settings, progress=False)
    assert told(result) == told(undisturbed)
    assert len(result.finalists) == 2


def test_interrupted_and_resumed_again_and_again(population, undisturbed, monkeypatch):
    """At the start, round the first decision, among copies, and near the end."""
    moments = {3, 11, 14, 31}  # of 36 reports
    hear = PopulationSearcher.on_trial_result

    def hear_and_interrupt(self, trial_id, result):
        hear(self, trial_id, result)
        n_reports = sum(len(trial.reports) for trial in self.inner.trials())
        if n_reports in moments:
            moments.remove(n_reports)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PopulationSearcher, "on_trial_result", hear_and_interrupt)
    settings, folder, n_stopped = population({"max_concurrent": 2}), None, 0
    while True:
        try:
            result = run_study(settings, progress=False, resume=folder)
        except StudyInterrupted as stopped:
            folder, n_stopped = stopped.folder, n_stopped + 1
        else:
            break
    assert moments == set()
    assert n_stopped >= 3  # two moments may fall into the end of one sitting
    assert told(result) == told(undisturbed)
    assert result.test_metrics == undisturbed.test_metrics


def test_a_driver_that_dies_while_it_decides(population, undisturbed, monkeypatch):
    """Before the first copy of a decision begins, and between two."""
    begin, made, n_died = PopulationScheduler._begin, [], 0

    def dies(self, copy, number):
        nonlocal n_died
        if len(made) == n_died:
            n_died += 1
            raise RuntimeError("killed")
        made.append(number)
        begin(self, copy, number)

    settings, folder = population(), None
    with monkeypatch.context() as patch:
        patch.setattr(PopulationScheduler, "_begin", dies)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="killed"):
                run_study(settings, progress=False, resume=folder)
            (folder,) = (Path(settings.sweep.storage) / "small").iterdir()
    assert (len(made), n_died) == (1, 2)
    result = run_study(settings, progress=False, resume=folder)
    assert told(result) == told(undisturbed)


def test_a_copy_is_what_its_repeat_is(population, undisturbed):
    """With the search's own seed the replayed schedule is the trial, bit for bit."""
    base = make_plan(population()).base
    journal = read_journal(undisturbed.folder, _space(undisturbed))
    data, n_compared = load_data(base.data), 0
    for trial in undisturbed.trials:
        if trial.state != "COMPLETE" or trial.parent is None:
            continue
        stages = lineage(journal, trial.number)
        settings = with_values(base, trial.values)
        repeat = repeat_trial(settings, data, 1, schedule_of(stages, base))
        if repeat.best_epoch >= stages[-1].first:  # else its parent was better than it
            assert repeat.best_epoch == trial.best_epoch
            assert repeat.metrics[undisturbed.metric] == trial.value
            n_compared += 1
    assert n_compared >= 1


def test_trials_of_other_lengths(population):
    sweep = {"space": SPACE | {"training.n_iter": [4, 6, 12]}, "num_trials": 8}
    result = run_study(population(sweep), progress=False)
    n_iter = {t.number: t.values["training.n_iter"] for t in result.trials}
    assert all(t.epochs == n_iter[t.number] for t in result.trials if t.state == "COMPLETE")
    copies = [trial for trial in result.trials if trial.parent is not None]
    assert all(n_iter[copy.parent.trial] == n_iter[copy.number] for copy in copies)


def test_failing_trials_leave_the_population(population):
    sweep = {
        "space": {"optimizer.lr": [0.02, 0.05, 99.0, 100.0]},
        "num_trials": 8,
        "search": {"algorithm": "qmc"},
    }
    poisoned = {
        "optimizer": {"name": "sgd"},
        "training": {"loss_function": "hinge_loss", "engine": "autograd", "batch_size": 16},
        "model": {"init_std": 10.0, "n_latent": 64},
    }
    result = run_study(population(sweep, **poisoned), progress=False)
    states = [trial.state for trial in result.trials]
    assert states.count("FAIL") >= 2
    assert "COMPLETE" in states
    assert "RUNNING" not in states


class TestRefusals:
    def test_a_population_takes_no_more_trials(self, population, undisturbed):
        sweep = undisturbed_sweep(undisturbed)
        with pytest.raises(StudyError, match=r"sweep\.num_trials: was 6, is now 9; a population"):
            run_study(sweep(num_trials=9), progress=False, resume=undisturbed.folder)
        with pytest.raises(StudyError, match="one that has ended cannot go on"):
            run_study(sweep(budget={"wall_s": 5}), progress=False, resume=undisturbed.folder)

    def test_simulate(self, undisturbed, tmp_path: Path):
        with pytest.raises(ConfigError, match=r"scheduler\.kind pbt, .* no curve of one setting"):
            read_curves(undisturbed.folder)
        path = tmp_path / "curves.csv"
        path.write_text("trial,epoch,value,optimizer.lr\n0,1,0.1,0.1\n1,1,0.2,0.2\n")
        found = CliRunner().invoke(simulate, [str(path), "--scheduler", "pbt"])
        assert isinstance(found.exception, ConfigError)
        assert str(found.exception).startswith("--scheduler pbt: its trials change settings")

    def test_a_scheduler_alone(self):
        with pytest.raises(ValueError, match=r"needs searcher, space and copy_checkpoint"):
            PbtSettings().make(SchedulerContext(metric="v", max_epochs=20, n_trials=8))


def undisturbed_sweep(result):
    """The settings of a study with other settings of the sweep."""
    settings, _ = read_settings(result.folder)

    def make(**changes):
        return settings.model_validate(
            json.loads(
                json.dumps(
                    settings.model_dump(mode="json")
                    | {"sweep": settings.sweep.model_dump(mode="json") | changes}
                )
            )
        )

    return make
