"""Replayed searches: known answers on made-up curves, and the command on files and studies."""

import csv
import math
import random

import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import ConfigError
from tune.forecast.curves import Curve, Curves, read_curves
from tune.forecast.replay import Strategy, compare, replay
from tune.schedulers import AshaSettings, NoneSettings
from tune.search.searcher import OptunaSearcher
from tune.settings import StudySettings, make_plan
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.dimensions import Dimension
from tune.space.domains import FloatRange
from tune.storage.folder import create

NONE = NoneSettings()
ASHA = AshaSettings(grace_period=5, reduction_factor=3.0)
SPACE = Space(
    (
        Dimension("optimizer.lr", FloatRange(0.001, 1.0, log=True)),
        Dimension("optimizer.reg_user", FloatRange(0.0, 1.0)),
    )
)


def curve(values, height, epochs=45, seconds=1.0):
    steps = range(5, epochs + 1, 5)
    return Curve(values, tuple((e, height * (1 - math.exp(-e / 10)), 5 * seconds) for e in steps))


def made_up(count, seed=0):
    """Curves whose height is a hill over the space."""
    generator = random.Random(seed)
    curves = []
    for _ in range(count):
        values = SPACE.at([generator.random(), generator.random()])
        off = (math.log10(values["optimizer.lr"]) + 1.3) ** 2 + values["optimizer.reg_user"] ** 2
        curves.append(curve(values, 0.4 / (1 + off)))
    return Curves(SPACE, tuple(curves), ASHA)


class TestReplay:
    def test_random_without_stopping_runs_everything(self):
        curves = made_up(12)
        done = replay(curves, Strategy("random", NONE), seed=1)
        assert (done.n_started, done.n_finished) == (12, 12)
        assert done.spent_s == done.wall_s == pytest.approx(12 * 45)
        assert done.best_at(math.inf) == max(c.best for c in curves.curves)
        assert done.seconds_to(math.inf) == math.inf

    def test_workers_share_the_time(self):
        done = replay(made_up(12), Strategy("random", NONE), seed=1, workers=4)
        assert done.spent_s == pytest.approx(12 * 45)
        assert done.wall_s == pytest.approx(3 * 45)

    def test_a_seed_gives_the_same_search_again(self):
        curves = made_up(20)
        for name in ("tpe", "qmc", "cmaes", "random"):
            first = replay(curves, Strategy(name, ASHA), seed=1, workers=2)
            assert replay(curves, Strategy(name, ASHA), seed=1, workers=2) == first

    def test_asha_stops_at_its_rungs(self):
        # the best first: every later trial meets a full rung, so only it goes to the end
        heights = [0.9 - 0.1 * i for i in range(9)]
        curves = tuple(curve({"x": float(i)}, h) for i, h in enumerate(heights))
        space = Space((Dimension("x", FloatRange(0.0, 8.0)),))
        whole = Curves(space, curves, ASHA)
        lasts = set()
        for seed in range(5):
            done = replay(whole, Strategy("random", ASHA), seed=seed)
            lasts.add((done.n_finished, done.spent_s))
            assert 1 <= done.n_finished < 9
            assert done.spent_s < 9 * 45 * 0.75
        assert len(lasts) > 1

    def test_a_stopped_trial_does_not_win(self):
        good = curve({"x": 0.0}, 0.9)
        # ahead at the first rung, and then never again
        early = Curve({"x": 1.0}, ((5, 0.8, 5.0), (10, 0.1, 5.0), (15, 0.1, 5.0), (45, 0.1, 30.0)))
        whole = Curves(Space((Dimension("x", FloatRange(0.0, 1.0)),)), (good, early), ASHA)
        for seed in range(4):
            done = replay(whole, Strategy("random", ASHA), seed=seed)
            assert all(value in (good.best, early.best) for _, value in done.steps)
            assert done.n_finished <= done.n_started == 2

    def test_a_budget_ends_the_search(self):
        done = replay(made_up(12), Strategy("random", NONE), seed=1, budget_s=100.0)
        assert done.spent_s == 100.0
        assert (done.n_started, done.n_finished) == (3, 2)

    def test_a_search_begins_with_chosen_trials(self):
        curves = made_up(12)
        chosen = [curves.curves[7], curves.curves[2]]
        for name in ("random", "tpe"):
            done = replay(curves, Strategy(name, NONE), seed=0, num_trials=2, start=chosen)
            assert done.steps[0] == (45.0, chosen[0].best)
            assert done.best_at(math.inf) == max(each.best for each in chosen)
        by_rule = compare(curves, [Strategy("random", NONE)], seeds=[0], start=chosen)
        assert by_rule[0].replays[0].steps[0][1] == chosen[0].best

    def test_learning_and_stopping_reach_the_best_sooner(self):
        curves = made_up(60)
        strategies = [Strategy("random", NONE), Strategy("random", ASHA), Strategy("tpe", ASHA)]
        compared = compare(curves, strategies, seeds=range(5), at=(0.25, 1.0))
        plain, asha, both = (sorted(each.shares)[2] for each in compared)
        assert both <= asha < plain <= 1.0
        assert both < 0.25
        assert compared[0].best[0][1] == max(c.best for c in curves.curves)
        assert compared[2].strategy.name == "tpe + asha 5:3"

    def test_a_smaller_random_search_is_the_measure(self):
        compared = compare(made_up(40), [Strategy("random", NONE)], seeds=[0], num_trials=10)
        assert compared[0].replays[0].spent_s == pytest.approx(10 * 45)
        assert compared[0].shares[0] <= 1.0


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(curves, seconds=True):
    return [
        {"trial": i, "epoch": epoch, "value": value}
        | ({"seconds": spent} if seconds else {})
        | each.values
        | {"model.kind": ["a", "b"][i % 2], "model.n_latent": 8 + i, "fixed": 1}
        for i, each in enumerate(curves.curves)
        for epoch, value, spent in each.reports
    ]


class TestFiles:
    def test_a_file_is_read(self, tmp_path):
        whole = made_up(6)
        read = read_curves(write(tmp_path / "x.csv", rows_of(whole)))
        assert [c.reports for c in read.curves] == [c.reports for c in whole.curves]
        keys = ["optimizer.lr", "optimizer.reg_user", "model.kind", "model.n_latent"]
        assert [d.key for d in read.space.dimensions] == keys
        assert read.space.dimensions[2].domain.values == ("a", "b")
        assert read.max_epochs == 45

    def test_without_seconds_an_epoch_is_one(self, tmp_path):
        read = read_curves(write(tmp_path / "x.csv", rows_of(made_up(3), seconds=False)))
        assert read.curves[0].seconds == 45

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "the column trial is missing"),
            ("trial,epoch,x\n1,2,3\n", "the column value is missing"),
            ("trial,epoch,value,x\n1,2,a,3\n", "line 2: cannot be read"),
            ("trial,epoch,value,x\n1,2,3,\n", "a setting is empty"),
            ("trial,epoch,value,x\n1,2,3,4\n2,2,3,4\n", "no setting differs"),
            ("trial,epoch,value,x\n1,2,nan,4\n", "must be a finite number"),
        ],
    )
    def test_wrong_files_are_refused(self, tmp_path, text, words):
        path = tmp_path / "x.csv"
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_curves(path)

    def test_a_study_is_read(self, tmp_path):
        raw = {"space": {"optimizer.lr": {"low": 0.01, "high": 1.0}}, "storage": str(tmp_path)}
        settings = StudySettings.model_validate({"sweep": {**raw, "num_trials": 5}})
        folder = create(settings, {}).path
        searcher = OptunaSearcher(
            make_plan(settings).space,
            folder,
            goals=Goals((Objective("val/x", "max"),)),
            num_trials=5,
        )
        for i in range(5):
            searcher.suggest(f"ray{i}")
            searcher.on_trial_result(f"ray{i}", {"epoch": 2, "val/x": 0.1, "time/train_s": 3.0})
            last = {"epoch": 6, "val/x": 0.2, "time/train_s": 6.0, "finished": i != 2}
            searcher.on_trial_complete(f"ray{i}", last)
        read = read_curves(folder)
        assert len(read.curves) == 4
        assert read.curves[0].reports == ((2, 0.1, 3.0), (6, 0.2, 6.0))


class TestCommand:
    def test_a_table(self, tmp_path, capsys):
        path = write(tmp_path / "x.csv", rows_of(made_up(24)))
        assert run(cli, ["simulate", str(path), "--seeds", "3", "--workers", "2"]) == 0
        said = capsys.readouterr().out
        assert "24 recorded trials, 45 epochs, 1,080 s of training; medians of 3 seeds" in said
        for name in ("random + none", "tpe + asha 5:3", "tpe + median 5", "tpe + hyperband 5:3"):
            assert f"\n{name} " in said
        assert "Kendall tau): 1.00 at epoch 5" in said
        assert "warning" not in said

    def test_an_early_order_that_misleads(self, tmp_path, capsys):
        rows = [
            {"trial": i, "epoch": epoch, "value": value, "x": i}
            for i in range(9)
            for epoch, value in ((5, -i), (10, i))
        ]
        path = write(tmp_path / "x.csv", rows)
        words = ["--sampler", "random", "--scheduler", "asha:5:2"]
        assert run(cli, ["simulate", str(path), *words]) == 0
        assert "warning: at epoch 5 the order of 9 trials" in capsys.readouterr().out

    def test_a_trial_to_start_with(self, tmp_path, capsys):
        path = write(tmp_path / "x.csv", rows_of(made_up(6)))
        words = ["simulate", str(path), "--sampler", "random", "--scheduler", "none", "--start"]
        assert run(cli, [*words, "3"]) == 0
        capsys.readouterr()
        assert run(cli, [*words, "6"]) == 2
        assert "--start 6: 6 trials are recorded, the first is 0" in capsys.readouterr().err

    @pytest.mark.parametrize("word", ["ash", "asha:0", "asha:5:1", "asha:x", "asha:1:2:3"])
    def test_wrong_schedulers_are_refused(self, tmp_path, capsys, word):
        path = write(tmp_path / "x.csv", rows_of(made_up(3)))
        assert run(cli, ["simulate", str(path), "--scheduler", word]) == 2
        assert f"--scheduler {word}: expected KIND[:GRACE[:FACTOR]]" in capsys.readouterr().err
