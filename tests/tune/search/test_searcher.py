import math
import shutil
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal._storage import JournalStorageReplayResult
from ray.tune.search import Searcher

from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import Parent
from tune.search.searcher import OptunaSearcher
from tune.settings import make_plan
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space
from tune.storage.folder import read_settings
from tune.storage.journal import DriverJournal
from tune.storage.names import JOURNAL
from tune.storage.trials import read_journal

METRIC = "val/ndcg_at_10"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "format_1"
FLAT = {
    "optimizer.lr": {"low": 1e-3, "high": 1.0, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 1.0},
    "model.n_latent": [8, 16, 32],
    "training.negatives": [{"kind": "uniform"}, {"kind": "mixed"}],
}
CONDITIONAL = {
    **FLAT,
    "optimizer.reg_bias": {"low": 0.0, "high": 1.0, "when": {"model.n_latent": [16, 32]}},
}

CHOICES = {"optimizer.lr": [0.01, 0.02, 0.05, 0.1], "optimizer.reg_user": [0.0, 0.1, 0.2, 0.3, 0.4]}


def make(folder, raw=FLAT, **options):
    space = check_space(Space.parse(raw), TrialSettings())
    options = {"num_trials": 20, "seed": 1, **options}
    goals = Goals((Objective(METRIC, "max"),))
    return OptunaSearcher(space, folder, goals=goals, **options)


def journal(folder, raw=FLAT):
    return read_journal(folder, check_space(Space.parse(raw), TrialSettings()))


def value_of(values):
    return 1.0 - abs(values["optimizer.lr"] - 0.05) - abs(values["optimizer.reg_user"] - 0.3)


def finish(searcher, ray_trial, value, epoch=10, **result):
    result = {"finished": True, **result}
    searcher.on_trial_complete(ray_trial, {"epoch": epoch, METRIC: value, **result})


def run(searcher, count, first=0):
    """Run trials one after the other; every third is stopped early."""
    seen = []
    for i in range(first, first + count):
        suggestion = searcher.suggest(f"ray{i}")
        seen.append(suggestion)
        value = value_of(suggestion["values"])
        searcher.on_trial_result(f"ray{i}", {"epoch": 5, METRIC: value / 2})
        finish(searcher, f"ray{i}", value, finished=i % 3 != 0)
    return seen


class TestSuggestions:
    @pytest.mark.parametrize("algorithm", ["tpe", "random"])
    @pytest.mark.parametrize("raw", [FLAT, CONDITIONAL])
    def test_the_same_seed_gives_the_same_trials(self, tmp_path, algorithm, raw):
        first = run(make(tmp_path / "a", raw, algorithm=algorithm), 20)
        again = run(make(tmp_path / "b", raw, algorithm=algorithm), 20)
        other = run(make(tmp_path / "c", raw, algorithm=algorithm, seed=2), 20)
        assert first == again
        assert first != other
        assert [s["trial"] for s in first] == list(range(20))
        assert len({str(s) for s in first}) == 20

    @pytest.mark.parametrize("raw", [FLAT, CONDITIONAL])
    def test_an_interrupted_study_goes_on_as_if_it_had_not_been(self, tmp_path, raw):
        whole = run(make(tmp_path / "a", raw), 20)
        begun = make(tmp_path / "b", raw)
        parts = run(begun, 12)
        resumed = make(tmp_path / "b", raw)
        assert parts + run(resumed, 8, first=12) == whole
        assert resumed.suggest("more") == Searcher.FINISHED

    def test_random_trials_do_not_depend_on_the_order_of_results(self, tmp_path):
        one = make(tmp_path / "a", algorithm="random")
        serial = run(one, 6)
        two = make(tmp_path / "b", algorithm="random")
        assert [two.suggest(f"ray{i}") for i in range(6)] == serial

    def test_tpe_looks_where_it_is_good(self, tmp_path):
        searcher = make(tmp_path, num_trials=60)
        trials = run(searcher, 60)
        values = [value_of(t["values"]) for t in trials]
        assert sum(values[40:]) / 20 > sum(values[:20]) / 20 + 0.15

    def test_parallel_trials_differ(self, tmp_path):
        searcher = make(tmp_path, num_trials=40)
        run(searcher, 20)
        together = [searcher.suggest(f"more{i}")["values"] for i in range(10)]
        assert len({f"{v['optimizer.lr']:.3g}" for v in together}) == 10

    def test_a_grid_runs_every_point_in_order(self, tmp_path):
        raw = {
            "model.n_latent": [8, 16],
            "training.negatives": [{"kind": "uniform"}, {"kind": "mixed"}],
        }
        searcher = make(tmp_path, raw, algorithm="grid", num_trials=None)
        given = [searcher.suggest(f"ray{i}") for i in range(5)]
        assert given[4] == Searcher.FINISHED
        assert [s["values"] for s in given[:4]] == Space.parse(raw).grid()

    def test_a_trial_costs_as_much_late_as_early(self, tmp_path, monkeypatch):
        read, looked = [], []

        def count(lines):
            for line in lines:
                read.append(line)
                yield line

        def look(*arguments):
            looked.append(arguments)
            return trials(*arguments)

        lines, trials = DriverJournal.read_logs, JournalStorageReplayResult.get_all_trials
        monkeypatch.setattr(DriverJournal, "read_logs", lambda *a: count(lines(*a)))
        monkeypatch.setattr(JournalStorageReplayResult, "get_all_trials", look)
        searcher = make(tmp_path, algorithm="random", num_trials=60)
        run(searcher, 1)
        costs = set()
        for first in (1, 4, 46, 49):  # of three trials one is stopped
            read.clear()
            looked.clear()
            run(searcher, 3, first=first)
            assert not looked  # at the trials before
            costs.add(len(read))
            run(searcher, 39 if first == 4 else 0, first=7)
        assert len(costs) == 1

    def test_unfinished_trials_and_copies_are_found_without_a_look_at_the_others(
        self, tmp_path, monkeypatch
    ):
        begun = make(tmp_path, algorithm="random")
        run(begun, 5)
        left = [begun.suggest(f"left{i}") for i in range(2)]
        resumed = make(tmp_path, algorithm="random")
        assert len(resumed.trials()) == 7
        parent = Parent(0, 10, 1)
        assert resumed.add_copy(left[0]["values"], parent) == 7
        monkeypatch.setattr(JournalStorageReplayResult, "get_all_trials", None)
        assert [resumed.suggest(f"again{i}") for i in range(2)] == left
        copy = resumed.suggest("copy")
        assert copy == {"trial": 7, "values": left[0]["values"], "parent": parent._asdict()}

    def test_the_last_trial_is_followed_by_finished(self, tmp_path):
        searcher = make(tmp_path, num_trials=2)
        run(searcher, 2)
        assert searcher.suggest("more") == Searcher.FINISHED
        assert len(journal(tmp_path)) == 2

    def test_nothing_is_warned_about(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(make(tmp_path / "a"), 15)
            run(make(tmp_path / "b", CONDITIONAL), 15)


class TestResults:
    def test_ends_of_trials(self, tmp_path):
        searcher = make(tmp_path)
        for name in ("full", "stopped", "raised", "said", "nan", "silent", "paused"):
            searcher.suggest(name)
        for name in ("full", "stopped", "raised", "said", "nan", "paused"):
            searcher.on_trial_result(name, {"epoch": 5, METRIC: 0.6})
        finish(searcher, "full", 0.4)
        finish(searcher, "stopped", 0.7, finished=False)
        searcher.on_trial_complete("raised", error=True)
        searcher.on_trial_complete("said", {"epoch": 7, "failed": "diverged", "finished": False})
        finish(searcher, "nan", float("nan"))
        searcher.on_trial_complete("silent")
        searcher.on_trial_complete("paused")
        trials = journal(tmp_path)
        states = [trial.state for trial in trials]
        assert states == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "FAIL", "FAIL", "PRUNED"]
        assert trials[0].value == 0.6
        assert trials[0].reports == {5: 0.6, 10: 0.4}
        assert trials[1].value == 0.7
        assert trials[5].value is None
        study = optuna.load_study(study_name=tmp_path.name, storage=searcher._study._storage)
        assert study.best_value == 0.6

    def test_the_metrics_of_the_best_epoch_are_kept(self, tmp_path):
        searcher = make(tmp_path)
        searcher.suggest("a")
        for epoch, value in ((5, 0.5), (10, 0.7), (15, 0.7)):
            more = {"val/auc": epoch / 100, "val/mrr": math.inf, "train/loss": 1.0}
            searcher.on_trial_result("a", {"epoch": epoch, METRIC: value, **more})
        assert journal(tmp_path)[0].metrics == {}
        finish(searcher, "a", 0.6, epoch=20)
        assert journal(tmp_path)[0].metrics == {METRIC: 0.7, "val/auc": 0.1}

    def test_a_trial_that_begins_anew_tells_them_again(self, tmp_path):
        before = make(tmp_path)
        before.suggest("a")
        before.on_trial_result("a", {"epoch": 5, METRIC: 0.7, "val/auc": 0.1})
        again = make(tmp_path)
        again.suggest("b")
        again.on_trial_result("b", {"epoch": 5, METRIC: 0.7, "val/auc": 0.1})
        finish(again, "b", 0.6)
        assert journal(tmp_path)[0].metrics == {METRIC: 0.7, "val/auc": 0.1}

    def test_a_trial_that_went_on_behind_its_best_epoch_has_none(self, tmp_path):
        before = make(tmp_path)
        before.suggest("a")
        before.on_trial_result("a", {"epoch": 5, METRIC: 0.7, "val/auc": 0.1})
        after = make(tmp_path)
        after.suggest("b")
        finish(after, "b", 0.6)
        assert (journal(tmp_path)[0].value, journal(tmp_path)[0].metrics) == (0.7, {})

    def test_a_trial_is_told_once(self, tmp_path):
        searcher = make(tmp_path)
        searcher.suggest("a")
        finish(searcher, "a", 0.5)
        finish(searcher, "a", 0.9)
        searcher.on_trial_result("a", {"epoch": 15, METRIC: 0.9})
        searcher.on_trial_complete("a", error=True)
        searcher.on_trial_complete("unknown", error=True)
        assert [(t.state, t.value) for t in journal(tmp_path)] == [("COMPLETE", 0.5)]

    def test_repeated_epochs_count_once(self, tmp_path):
        searcher = make(tmp_path)
        searcher.suggest("a")
        for value in (0.5, 0.6):
            searcher.on_trial_result("a", {"epoch": 5, METRIC: value})
        assert journal(tmp_path)[0].reports == {5: 0.5}

    def test_results_without_the_metric_are_passed_over(self, tmp_path):
        searcher = make(tmp_path)
        searcher.suggest("a")
        searcher.on_trial_result("a", {"epoch": 5})
        searcher.on_trial_result("a", {METRIC: 0.1})
        assert journal(tmp_path)[0].reports == {}


class TestJournalsOfBefore:
    def test_one_that_names_ray_trials_goes_on(self, tmp_path):
        study = FIXTURES / "unfinished"
        folder = Path(shutil.copytree(study, tmp_path / "another name"))
        settings, _ = read_settings(study)
        assert b'"ray_trial"' in (folder / JOURNAL).read_bytes()
        plan = make_plan(settings)
        before = read_journal(folder, plan.space)
        assert [trial.state for trial in before].count("RUNNING") == 1
        searcher = OptunaSearcher(
            plan.space,
            folder,
            goals=plan.goals,
            num_trials=plan.n_trials,
        )
        (running,) = (trial for trial in before if trial.state == "RUNNING")
        assert searcher.suggest("ray0") == {"trial": running.number, "values": running.values}
        assert searcher.suggest("ray1")["trial"] == len(before)


class TestCrashes:
    def test_all_running_trials_are_handed_out_again(self, tmp_path):
        before = make(tmp_path, num_trials=4)
        given = [before.suggest(f"old{i}") for i in range(3)]
        finish(before, "old1", 0.5)
        after = make(tmp_path, num_trials=4)
        again = [after.suggest(f"new{i}") for i in range(4)]
        assert again[:2] == [given[0], given[2]]
        assert again[2]["trial"] == 3
        assert again[3] == Searcher.FINISHED
        for i in range(3):
            finish(after, f"new{i}", 0.5)
        assert [t.state for t in journal(tmp_path)] == ["COMPLETE"] * 4

    @pytest.mark.parametrize("algorithm", ["tpe", "gp", "cmaes", "nsga2", "qmc", "random", "grid"])
    def test_a_killed_suggestion_is_completed_as_if_it_had_not_been(
        self, tmp_path, monkeypatch, algorithm
    ):
        raw = CHOICES if algorithm == "grid" else FLAT
        begun = make(tmp_path, raw, algorithm=algorithm)
        run(begun, 9)
        path, written = tmp_path / JOURNAL, []
        append = DriverJournal.append_logs

        def note(self, logs):
            written.append(path.read_bytes())
            append(self, logs)

        monkeypatch.setattr(DriverJournal, "append_logs", note)
        whole = begun.suggest("x")
        monkeypatch.undo()
        for before in dict.fromkeys([*written, path.read_bytes()]):
            path.write_bytes(before)
            assert make(tmp_path, raw, algorithm=algorithm).suggest("y") == whole
            assert len(journal(tmp_path, raw)) == 10

    def test_a_suggestion_of_which_half_is_on_the_disk_is_completed(self, tmp_path):
        whole = make(tmp_path).suggest("x")
        path = tmp_path / JOURNAL
        lines = path.read_bytes().splitlines(keepends=True)
        for kept in range(3, len(lines) + 1):
            path.write_bytes(b"".join(lines[:kept]))
            drawn = journal(tmp_path)[0].values
            again = make(tmp_path).suggest("y")
            assert again["trial"] == 0
            assert again["values"].keys() == whole["values"].keys()
            assert drawn.items() <= again["values"].items()
            assert len(journal(tmp_path)) == 1
        assert again == whole

    def test_a_torn_last_line_is_cut_off(self, tmp_path):
        first = run(make(tmp_path / "a"), 3)
        path = tmp_path / "a" / JOURNAL
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"op_code":4,"worker')
        assert len(journal(tmp_path / "a")) == 3
        searcher = make(tmp_path / "a")
        fourth = searcher.suggest("ray3")
        assert fourth["trial"] == 3
        assert run(make(tmp_path / "b"), 4) == [*first, fourth]
        assert len(journal(tmp_path / "a")) == 4

    def test_no_journal_is_no_trials(self, tmp_path):
        assert journal(tmp_path) == []


class TestRay:
    def test_metric_and_mode_of_tune_must_be_ours(self, tmp_path):
        searcher = make(tmp_path)
        assert searcher.set_search_properties(None, None, {})
        assert searcher.set_search_properties(METRIC, "max", {})
        assert not searcher.set_search_properties("val/auc", "max", {})
        assert not searcher.set_search_properties(METRIC, "min", {})
        assert searcher.metric == METRIC

    def test_a_snapshot_of_tunes_holds_nothing(self, tmp_path):
        """Tune takes one at its first step and one at its end, whatever it is told."""
        searcher = make(tmp_path / "study")
        searcher.suggest("a")
        before = (tmp_path / "study" / JOURNAL).read_bytes()
        searcher.save_to_dir(str(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["study"]
        assert (tmp_path / "study" / JOURNAL).read_bytes() == before

    def test_the_number_of_trials_is_needed(self, tmp_path):
        with pytest.raises(ValueError, match="num_trials is needed for tpe"):
            make(tmp_path, num_trials=None)
