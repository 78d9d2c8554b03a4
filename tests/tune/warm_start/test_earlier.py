"""Starting points, warm starts, and draws beside constraints, through the searcher."""

import math

import pytest

from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.models import TrialSettings
from tune.search.searcher import OptunaSearcher
from tune.settings import StudySettings, make_plan
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space
from tune.space.points import check_point
from tune.storage.beginning import Beginning, EarlierTrial
from tune.storage.folder import create
from tune.storage.trials import read_journal
from tune.warm_start.earlier import read_beginning

METRIC = "val/ndcg_at_10"
RAW = {
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 1.0},
    "model.n_latent": [8, 16, 32],
    "optimizer.reg_bias": {"low": 0.0, "high": 1.0, "when": {"model.n_latent": 32}},
}
NARROW = ["optimizer.lr < 0.01 and optimizer.reg_user > 0.5"]
ALGORITHMS = ["tpe", "gp", "cmaes", "qmc", "random"]


def make(folder, *, raw=RAW, constraints=(), num_trials=14, **options):
    space = check_space(Space.parse(raw, constraints), TrialSettings())
    return OptunaSearcher(
        space,
        folder,
        goals=Goals((Objective(METRIC, "max"),)),
        num_trials=num_trials,
        **options,
    )


def loss(values):
    return (math.log10(values["optimizer.lr"]) + 1.5) ** 2 + (
        values["optimizer.reg_user"] - 0.3
    ) ** 2


def run(searcher, count, first=0):
    seen = []
    for i in range(first, first + count):
        suggestion = searcher.suggest(f"ray{i}")
        seen.append(suggestion["values"])
        value = -loss(suggestion["values"])
        done = {"epoch": 5, METRIC: value, "finished": i % 4 != 3, "time/train_s": 0.5}
        searcher.on_trial_complete(f"ray{i}", done)
    return seen


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_seed_fixes_the_trials_and_a_resumed_study_goes_on(self, tmp_path, algorithm):
        count = 8 if algorithm == "gp" else 14
        whole = run(make(tmp_path / "a", algorithm=algorithm, seed=3), count)
        parts = run(make(tmp_path / "b", algorithm=algorithm, seed=3), 7)
        parts += run(make(tmp_path / "b", algorithm=algorithm, seed=3), count - 7, first=7)
        assert parts == whole
        assert len({str(values) for values in whole}) == count
        assert run(make(tmp_path / "c", algorithm=algorithm, seed=4), 2) != whole[:2]

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_refused_points_are_never_run(self, tmp_path, algorithm):
        searcher = make(tmp_path, algorithm=algorithm, constraints=NARROW)
        count = 9 if algorithm == "gp" else 14
        for values in run(searcher, count):
            assert values["optimizer.lr"] < 0.01
            assert values["optimizer.reg_user"] > 0.5
        trials = read_journal(tmp_path, searcher._space)
        assert [trial.number for trial in trials] == list(range(count))

    @pytest.mark.parametrize("algorithm", ["tpe", "gp", "cmaes"])
    def test_learning_finds_better_than_random(self, tmp_path, algorithm):
        raw = {key: RAW[key] for key in ("optimizer.lr", "optimizer.reg_user")}
        best = {}
        count = 14 if algorithm == "gp" else 40
        for name in (algorithm, "random"):
            searcher = make(tmp_path / name, raw=raw, algorithm=name, num_trials=count)
            best[name] = sorted(map(loss, run(searcher, count)))[:5]
        assert sum(best[algorithm]) < sum(best["random"])

    def test_qmc_fills_the_space_more_evenly_than_random(self, tmp_path):
        scipy_stats = pytest.importorskip("scipy.stats")
        raw = {"optimizer.reg_user": RAW["optimizer.reg_user"], "optimizer.reg_bias": [0.0, 1.0]}
        raw["optimizer.reg_positive"] = {"low": 0.0, "high": 1.0}
        gaps = {}
        for name in ("qmc", "random"):
            searcher = make(tmp_path / name, raw=raw, algorithm=name, num_trials=64)
            points = [
                [v["optimizer.reg_user"], v["optimizer.reg_positive"]]
                for v in (searcher.suggest(f"ray{i}")["values"] for i in range(64))
            ]
            gaps[name] = scipy_stats.qmc.discrepancy(points)
        assert gaps["qmc"] < gaps["random"] / 4

    def test_cmaes_needs_two_ranges(self):
        raw = {"search": {"algorithm": "cmaes"}, "space": {"optimizer.lr": RAW["optimizer.lr"]}}
        with pytest.raises(SpaceError, match=r"cmaes needs two or more ranges"):
            make_plan(StudySettings.model_validate({"sweep": raw}))


class TestStartWith:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_points_come_first_and_what_they_leave_out_is_drawn(self, tmp_path, algorithm):
        points = ({"optimizer.lr": 0.5}, {"model.n_latent": 32, "optimizer.reg_bias": 0.25})
        first = make(tmp_path, algorithm=algorithm, beginning=Beginning(points))
        given = run(first, 2)
        assert given[0]["optimizer.lr"] == 0.5
        assert given[0].keys() >= {"optimizer.reg_user", "model.n_latent"}
        assert given[1]["optimizer.reg_bias"] == 0.25
        assert len(run(first, 3, first=2)) == 3

    def test_a_resumed_study_keeps_its_points(self, tmp_path):
        points = tuple({"optimizer.lr": lr} for lr in (0.1, 0.2, 0.3))
        run(make(tmp_path, beginning=Beginning(points)), 2)
        assert run(make(tmp_path), 1, first=2)[0]["optimizer.lr"] == 0.3

    @pytest.mark.parametrize(
        ("point", "words"),
        [
            ({"optimizer.lrr": 0.1}, "not searched. Did you mean optimizer.lr?"),
            ({"optimizer.lr": 3.0}, "never takes the value 3.0"),
            ({"optimizer.reg_bias": 0.1, "model.n_latent": 8}, "is not active"),
            ({"optimizer.lr": 0.5}, "no point beside"),
        ],
    )
    def test_wrong_points_are_refused(self, point, words):
        constraints = ["optimizer.lr < 0.4"]
        raw = {"space": RAW, "start_with": [point], "constraints": constraints}
        with pytest.raises(SpaceError) as caught:
            make_plan(StudySettings.model_validate({"sweep": raw}))
        assert str(caught.value).startswith("start_with: entry 1: ")
        assert words in str(caught.value)

    def test_what_a_value_depends_on_is_filled_in(self):
        space = check_space(Space.parse(RAW), TrialSettings())
        point = check_point(space, {"optimizer.reg_bias": 0.1}, "here")
        assert point == {"model.n_latent": 32, "optimizer.reg_bias": 0.1}

    @pytest.mark.parametrize("entry", ["default", {}, {"file": 3}, {"best": {"k": 1}}])
    def test_wrong_entries_are_refused(self, entry):
        with pytest.raises(ValueError, match="start_with"):
            make_plan(
                StudySettings.model_validate({"sweep": {"space": RAW, "start_with": [entry]}})
            )

    def test_a_grid_takes_none(self):
        raw = {"search": {"algorithm": "grid"}, "space": {"model.n_latent": [8]}}
        with pytest.raises(ValueError, match="Leave start_with out"):
            StudySettings.model_validate({"sweep": {**raw, "start_with": ["defaults"]}})


@pytest.fixture
def earlier(tmp_path):
    """Make the folder of an earlier study of `count` trials, and return it."""

    def build(name, sweep=None, count=8, **sections):
        sweep = {"space": RAW, "storage": str(tmp_path / name), **(sweep or {})}
        settings = StudySettings.model_validate({"sweep": sweep, **sections})
        folder = create(settings, {})
        searcher = OptunaSearcher(
            make_plan(settings).space,
            folder.path,
            goals=settings.sweep.goals(),
            num_trials=count,
            algorithm="random",
        )
        run(searcher, count)
        return folder.path, read_journal(folder.path, make_plan(settings).space)

    return build


def study(**sweep):
    sections = {"model": {"n_latent": 8}, "sweep": {"space": RAW, **sweep}}
    settings = StudySettings.model_validate(sections)
    return make_plan(settings)


class TestEarlierStudies:
    def test_the_best_and_the_defaults(self, earlier):
        folder, trials = earlier("old")
        best = sorted((t for t in trials if t.state == "COMPLETE"), key=lambda t: -t.value)[:2]
        entries = ["defaults", {"best": {"study": str(folder), "k": 2}}, {"optimizer.lr": 0.5}]
        points = read_beginning(study(start_with=entries)).points
        defaults = {"optimizer.lr": 0.05, "optimizer.reg_user": 0.01, "model.n_latent": 8}
        assert points == (defaults, *(trial.values for trial in best), {"optimizer.lr": 0.5})

    def test_a_file(self, tmp_path):
        path = tmp_path / "x.yaml"
        path.write_text("optimizer: {lr: 0.2}\nmodel: {n_latent: 12}\n")
        points = read_beginning(study(start_with=[{"file": str(path)}])).points
        assert points == ({"optimizer.lr": 0.2, "optimizer.reg_user": 0.01},)

    def test_more_points_than_trials_are_refused(self):
        with pytest.raises(SpaceError, match="2 points for 1 trial;"):
            read_beginning(
                study(start_with=[{"optimizer.lr": lr} for lr in (0.1, 0.2)], num_trials=1)
            )

    def test_finished_trials_are_known_and_do_not_count(self, earlier, tmp_path):
        folder, trials = earlier("old", count=30)
        plan = study(start_from=[str(folder)])
        beginning = read_beginning(plan)
        complete = [trial for trial in trials if trial.state == "COMPLETE"]
        assert [t.value for t in beginning.earlier] == sorted(t.value for t in complete)
        known = make(tmp_path / "new", beginning=beginning, num_trials=6)
        blind = make(tmp_path / "blind", num_trials=6)
        assert sum(map(loss, run(known, 6))) < sum(map(loss, run(blind, 6)))
        own = read_journal(tmp_path / "new", plan.space)
        assert [trial.number for trial in own] == list(range(6))
        assert own[0].seconds == 0.5

    def test_a_driver_killed_while_it_learns_learns_the_rest(self, earlier, tmp_path):
        folder, _ = earlier("old")
        beginning = read_beginning(study(start_from=[str(folder)]))
        whole = run(make(tmp_path / "a", beginning=beginning), 3)
        make(tmp_path / "b", beginning=beginning)
        path = tmp_path / "b" / "journal.log"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:4]))
        assert run(make(tmp_path / "b"), 3) == whole

    def test_trials_outside_of_the_space_are_left_out(self, earlier):
        folder, trials = earlier("old")
        small = {
            "optimizer.lr": RAW["optimizer.lr"],
            "optimizer.reg_user": RAW["optimizer.reg_user"],
        }
        beginning = read_beginning(study(space=small, start_from=[str(folder)]))
        eights = [t for t in trials if t.state == "COMPLETE" and t.values["model.n_latent"] == 8]
        assert len(beginning.earlier) == len(eights)
        assert all(isinstance(t, EarlierTrial) for t in beginning.earlier)

    def test_what_cannot_be_learnt_from_is_refused(self, earlier, tmp_path):
        folder, _ = earlier("old", data={"name": "ml-1m"})
        with pytest.raises(SpaceError, match="is a point of this space on these data"):
            read_beginning(study(start_from=[str(folder)]))
        with pytest.raises(ConfigError, match=f"compares {METRIC}, this study val/mrr"):
            read_beginning(study(start_from=[str(folder)], metric="val/mrr"))
        with pytest.raises(ConfigError, match="is not the folder of a study"):
            read_beginning(study(start_from=[str(tmp_path)]))
