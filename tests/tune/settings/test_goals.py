"""Several objectives and limits: the front of known spaces, and what a journal keeps of them."""

import random
from pathlib import Path

import optuna
import pytest

from hbpr.errors import StudyError
from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import TrialRecord
from tune.answer.answer import ranked
from tune.search.searcher import OptunaSearcher
from tune.settings.goals import Goals, Limit, Objective
from tune.space import Space
from tune.space.check import check_space
from tune.storage.journal import prune_running
from tune.storage.trials import read_journal
from tune.trial.messages import best_of

NDCG, BYTES = "val/ndcg_at_10", "item_vector_bytes"
BOTH = Goals((Objective(NDCG, "max"), Objective(BYTES, "min")))
LIMITED = Goals((Objective(NDCG, "max"),), (Limit(BYTES, None, 2000.0),))
EVERYTHING = Goals(BOTH.objectives, LIMITED.limits)
FOLDER = Path("studies/my films/s1")
#: A draw of gp for several objectives takes seconds.
LEARNERS = ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)]
RAW = {
    "optimizer.lr": {"low": 0.0001, "high": 1.0},
    "optimizer.reg_user": {"low": 0.0, "high": 1.0},
    "model.n_latent": {"low": 1, "high": 64},
}


GP_14 = pytest.param("gp", 14, marks=pytest.mark.slow)


def trial(number, ndcg, size, state="COMPLETE"):
    measured = {5: {NDCG: ndcg / 2, BYTES: size}, 10: {NDCG: ndcg, BYTES: size}}
    return TrialRecord(number, {}, state, ndcg, {5: ndcg / 2, 10: ndcg}, measured=measured)


class TestFront:
    def test_of_known_trials(self):
        trials = [
            trial(0, 0.30, 400.0),
            trial(1, 0.20, 100.0),
            trial(2, 0.25, 400.0),  # 0 is better at the same size
            trial(3, 0.25, 200.0),
            trial(4, 0.10, 150.0),  # 1 is better and smaller
            trial(5, 0.20, 100.0),  # the same as 1
            trial(6, 0.90, 900.0, "PRUNED"),
            TrialRecord(7, {}, "FAIL", None, {}, None),
        ]
        assert [t.number for t in BOTH.front(trials)] == [0, 3, 1, 5]
        small = Goals(BOTH.objectives, (Limit(BYTES, None, 200.0),))
        assert [t.number for t in small.front(trials)] == [3, 1, 5]
        assert [t.number for t in LIMITED.front(trials)] == [0]
        assert Goals(BOTH.objectives, (Limit(NDCG, 0.95, None),)).front(trials) == []

    def test_of_stopped_trials_where_none_came_to_its_end(self):
        assert [t.number for t in BOTH.front([trial(0, 0.1, 8.0, "PRUNED")])] == [0]

    def test_is_what_no_trial_beats(self):
        rng = random.Random(0)
        trials = [trial(i, rng.randint(0, 20), rng.randint(0, 20)) for i in range(200)]

        def beaten(one):
            mine = BOTH.losses(one.at_best)
            others = [BOTH.losses(other.at_best) for other in trials]
            return any(o != mine and o[0] <= mine[0] and o[1] <= mine[1] for o in others)

        unbeaten = {t.number for t in trials if not beaten(t)}
        assert {t.number for t in BOTH.front(trials)} == unbeaten

    def test_a_limit_has_two_ends(self):
        limit = Limit(BYTES, 100.0, 200.0)
        outside = [limit.excess(value) > 0 for value in (99.0, 100.0, 150.0, 200.0, 201.0)]
        assert outside == [True, False, False, False, True]
        assert str(limit) == "item_vector_bytes: {min: 100, max: 200}"


def make(folder, goals=BOTH, **options):
    space = check_space(Space.parse(RAW), TrialSettings())
    options = {"num_trials": 60, "seed": 1, "algorithm": "nsga2", **options}
    return OptunaSearcher(space, folder, goals=goals, **options)


def journal(folder):
    return read_journal(folder, check_space(Space.parse(RAW), TrialSettings()))


def measured(values):
    """A planted trade: the best NDCG of a size rises with it, and needs lr 0.5 and reg_user 0.3."""
    off = abs(values["optimizer.lr"] - 0.5) + abs(values["optimizer.reg_user"] - 0.3)
    size = values["model.n_latent"]
    return {NDCG: (size / 64) ** 0.5 - off, BYTES: 100.0 * size}


def run(searcher, count, first=0):
    """Run trials one after the other; each is best at its second report of three."""
    seen = []
    for i in range(first, first + count):
        suggestion = searcher.suggest(f"ray{i}")
        seen.append(suggestion)
        values = measured(suggestion["values"])
        for epoch, ndcg in ((5, values[NDCG] - 1.0), (10, values[NDCG])):
            searcher.on_trial_result(f"ray{i}", {"epoch": epoch, **values, NDCG: ndcg})
        last = {"epoch": 15, **values, NDCG: values[NDCG] - 0.5, "finished": True}
        searcher.on_trial_complete(f"ray{i}", last)
    return seen


def area(front):
    """Area that a front covers, of NDCG above -1.5 and sizes below 6400."""
    corners = sorted((t.at_best[BYTES], t.at_best[NDCG] + 1.5) for t in front)
    ends = [size for size, _ in corners[1:]] + [6400.0]
    return sum((end - size) * high for (size, high), end in zip(corners, ends, strict=True)) / 6400


class TestSearch:
    @pytest.mark.parametrize(("algorithm", "count"), [("tpe", 40), ("nsga2", 80)])
    def test_learners_come_nearer_to_the_front_than_chance(self, tmp_path, algorithm, count):
        found = {}
        for name in (algorithm, "random"):
            run(make(tmp_path / name, algorithm=name, num_trials=count), count)
            found[name] = area(BOTH.front(journal(tmp_path / name)))
        assert found[algorithm] > found["random"]

    @pytest.mark.parametrize(("algorithm", "count"), [("tpe", 40), ("nsga2", 60), GP_14])
    def test_limits_are_learnt(self, tmp_path, algorithm, count):
        run(make(tmp_path, LIMITED, algorithm=algorithm, num_trials=count), count)
        trials = journal(tmp_path)
        inside = [t.at_best[BYTES] <= 2000.0 for t in trials]
        assert sum(inside[count // 2 :]) > 0.6 * count / 2  # by chance 0.31
        (best, *_) = LIMITED.front(trials)
        assert best.at_best[BYTES] <= 2000.0
        assert best.value <= max(t.value for t in trials)

    @pytest.mark.parametrize("goals", [BOTH, EVERYTHING])
    @pytest.mark.parametrize("algorithm", ["tpe", "nsga2"])
    def test_an_interrupted_study_goes_on_as_if_it_had_not_been(self, tmp_path, algorithm, goals):
        whole = run(make(tmp_path / "a", goals, algorithm=algorithm, num_trials=30), 30)
        begun = make(tmp_path / "b", goals, algorithm=algorithm, num_trials=30)
        parts = run(begun, 19)
        resumed = make(tmp_path / "b", goals, algorithm=algorithm, num_trials=30)
        assert parts + run(resumed, 11, first=19) == whole
        assert journal(tmp_path / "b") == journal(tmp_path / "a")

    def test_a_trial_has_the_values_of_its_best_epoch(self, tmp_path):
        (suggestion,) = run(make(tmp_path, EVERYTHING, num_trials=1), 1)
        (found,) = journal(tmp_path)
        assert found.state == "COMPLETE"
        assert list(found.reports) == [5, 10, 15]
        assert found.at_best == measured(suggestion["values"])
        study = optuna.load_study(study_name=tmp_path.name, storage=_storage(tmp_path))
        assert study.trials[0].values == list(found.at_best.values())
        assert study.trials[0].constraints == EVERYTHING.excesses(found.at_best)

    @pytest.mark.parametrize("algorithm", LEARNERS)
    def test_a_trial_that_was_stopped_poisons_nothing(self, tmp_path, algorithm):
        searcher = make(tmp_path, algorithm=algorithm, num_trials=9)
        run(searcher, 5)
        for i, end in enumerate(({}, {"failed": "DivergedError"}, {BYTES: float("nan")})):
            values = measured(searcher.suggest(f"more{i}")["values"])
            searcher.on_trial_result(f"more{i}", {"epoch": 5, **values})
            searcher.on_trial_complete(f"more{i}", {"epoch": 10, **values, **end})
        assert [t.state for t in journal(tmp_path)[5:]] == ["PRUNED", "FAIL", "FAIL"]
        run(searcher, 1, first=5)
        assert len(journal(tmp_path)) == 9

    def test_a_budget_stops_what_runs(self, tmp_path):
        first = make(tmp_path, EVERYTHING, algorithm="tpe", num_trials=12)
        run(first, 6)
        values = measured(first.suggest("ray6")["values"])
        first.on_trial_result("ray6", {"epoch": 5, **values})
        assert prune_running(tmp_path) == 1
        stopped = journal(tmp_path)[6]
        assert (stopped.state, stopped.at_best) == ("PRUNED", values)
        run(make(tmp_path, EVERYTHING, algorithm="tpe", num_trials=12), 5, first=7)
        assert [t.state for t in journal(tmp_path)].count("COMPLETE") == 11

    def test_a_running_trial_keeps_what_it_measured(self, tmp_path):
        first = make(tmp_path, num_trials=2)
        given = first.suggest("ray0")
        values = measured(given["values"])
        first.on_trial_result("ray0", {"epoch": 5, **values})
        again = make(tmp_path, num_trials=2)
        assert again.suggest("ray1") == given
        worse = {**values, NDCG: values[NDCG] - 1.0}
        again.on_trial_complete("ray1", {"epoch": 10, **worse, "finished": True})
        assert journal(tmp_path)[0].at_best == values


class TestRanked:
    def test_only_trials_inside_of_the_limits_win(self):
        trials = [trial(0, 0.9, 3000.0), trial(1, 0.2, 1500.0), trial(2, 0.3, 2000.0)]
        assert [t.number for t in ranked(trials, folder=FOLDER, goals=LIMITED)] == [2, 1]
        assert [t.number for t in ranked(trials, folder=FOLDER)] == [0, 2, 1]
        stopped = trial(3, 0.1, 8.0, "PRUNED")
        assert [t.number for t in ranked([trials[0], stopped], folder=FOLDER, goals=LIMITED)] == [3]

    def test_the_front_by_the_first_objective(self):
        trials = [trial(0, 0.2, 100.0), trial(1, 0.1, 150.0), trial(2, 0.3, 400.0)]
        assert [t.number for t in ranked(trials, folder=FOLDER, goals=BOTH)] == [2, 0]

    def test_none_inside_names_the_nearest(self):
        trials = [trial(0, 0.9, 3000.0), trial(1, 0.2, 2500.0)]
        expected = (
            r"none of 2 trials is inside of sweep.limits \(item_vector_bytes: \{max: 2000\}\); the "
            r"nearest is trial 1 with item_vector_bytes 2500. Run more trials: hbpr study resume "
            r"'studies/my films/s1' --set sweep.num_trials=N; or "
        )
        for goals in (LIMITED, EVERYTHING):
            with pytest.raises(StudyError, match=expected):
                ranked(trials, folder=FOLDER, goals=goals)


class TestBestOf:
    def test_with_limits_only_the_best_epoch_itself_tells(self):
        best = {"epoch": 5, "best_epoch": 5, "best_value": 0.3, NDCG: 0.3, BYTES: 100.0}
        assert best_of(best, LIMITED) == 0.3
        assert best_of({**best, BYTES: 9999.0}, LIMITED) is None
        assert best_of({**best, BYTES: 9999.0}, BOTH) == 0.3
        assert best_of({**best, "epoch": 10}, LIMITED) is None
        assert best_of({"failed": "DivergedError"}, BOTH) is None


def _storage(folder):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / "journal.log")))
