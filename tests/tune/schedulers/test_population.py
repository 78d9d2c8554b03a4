import random

import pytest

from hbpr.errors import SpaceError
from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import Parent, TrialRecord
from tune.schedulers.population import CHANGEABLE, decide, explore
from tune.settings import StudySettings, make_plan
from tune.space import Space
from tune.space.check import check_space

RAW = {
    "model.n_latent": [8, 16, 32],
    "optimizer.lr": {"low": 0.01, "high": 1.0, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 0.5, "step": 0.1},
    "optimizer.reg_bias": [0.3, 0.1, 0.2],
}


def space(raw=RAW, constraints=()):
    return check_space(Space.parse(raw, constraints), TrialSettings())


def trial(number, value, *, at=10, state="RUNNING", n_latent=8, parent=None):
    values = {
        "model.n_latent": n_latent,
        "optimizer.lr": 0.1,
        "optimizer.reg_user": 0.2,
        "optimizer.reg_bias": 0.1,
    }
    return TrialRecord(number, values, state, value, {at: value}, None, parent=parent)


def decided(trials, quantile=0.25, seed=0, epoch=10):
    return decide(trials, epoch, space=space(), quantile=quantile, seed=seed)


class TestDecide:
    def test_the_worst_are_replaced_by_copies_of_the_best(self):
        trials = [trial(i, value, n_latent=16) for i, value in enumerate([0.3, 0.9, 0.1, 0.5])]
        (copy,) = decided(trials)
        assert (copy.parent, copy.epoch, copy.replaces) == (1, 10, 2)
        assert copy.values["model.n_latent"] == 16
        assert copy.values != trials[1].values

    @pytest.mark.parametrize(
        ("n", "quantile", "replaced"),
        [(1, 0.5, 0), (2, 0.25, 1), (3, 0.5, 1), (8, 0.25, 2), (9, 0.25, 3), (10, 0.5, 5)],
    )
    def test_how_many(self, n, quantile, replaced):
        copies = decided([trial(i, i / 10) for i in range(n)], quantile)
        assert [copy.replaces for copy in copies] == list(range(replaced))
        assert {copy.parent for copy in copies} <= set(range(n - replaced, n))

    def test_shapes_and_all_else_stay_the_parents(self):
        trials = [trial(i, i / 100, n_latent=32 if i > 15 else 8) for i in range(20)]
        for copy in decided(trials, 0.2):
            changed = {k for k, v in copy.values.items() if v != trials[copy.parent].values[k]}
            assert changed <= set(CHANGEABLE)
            assert changed
            assert copy.values["model.n_latent"] == 32

    def test_an_equal_is_not_replaced(self):
        assert decided([trial(i, 0.5) for i in range(8)]) == []

    def test_who_takes_part(self):
        trials = [
            trial(0, 0.9, state="COMPLETE"),  # came to its own end just here: nothing to go on with
            trial(1, 0.4),
            trial(2, 0.3, state="PRUNED"),  # was replaced here, before the driver was killed
            trial(3, 0.1, at=5, state="PRUNED"),
            trial(4, 0.2, at=5, state="FAIL"),
            trial(5, 0.6, at=15, parent=Parent(1, 10, 2)),
        ]
        (copy,) = decided(trials)
        assert (copy.parent, copy.replaces) == (1, 2)

    def test_the_same_decision_once_more(self):
        trials = [trial(i, (i * 7 % 11) / 10) for i in range(11)]
        first = decided(trials)
        copies = [
            trial(11 + i, 0.0, at=15, parent=Parent(copy.parent, 10, copy.replaces))
            for i, copy in enumerate(first)
        ]
        ended = {copy.replaces for copy in first}
        after = [
            trial(t.number, t.value, state="PRUNED") if t.number in ended else t for t in trials
        ]
        assert decided([*after, *copies]) == first
        assert decided(trials, seed=1) != first


class TestExplore:
    def test_a_step_up_or_down(self):
        values = trial(0, 0.0).values
        seen = [explore(space(), values, random.Random(seed)) for seed in range(400)]
        assert {each["model.n_latent"] for each in seen} == {8}
        lrs = [each["optimizer.lr"] for each in seen]
        for factor in (0.8, 1.2):
            share = sum(lr == pytest.approx(0.1 * factor) for lr in lrs) / len(lrs)
            assert share == pytest.approx(0.375, abs=0.08)
        assert all(0.01 <= lr <= 1.0 for lr in lrs)
        near = [each["optimizer.reg_user"] for each in seen]
        assert sum(reg in (0.1, 0.3) for reg in near) / len(near) > 0.7
        assert {each["optimizer.reg_bias"] for each in seen} == {0.1, 0.2, 0.3}

    def test_ends_of_a_range(self):
        values = trial(0, 0.0).values | {"optimizer.lr": 1.0, "optimizer.reg_user": 0.0}
        for seed in range(50):
            moved = explore(space(), values, random.Random(seed))
            assert 0.01 <= moved["optimizer.lr"] <= 1.0
            assert 0.0 <= moved["optimizer.reg_user"] <= 0.5
            assert moved != values

    def test_constraints_hold(self):
        bounded = space(constraints=["optimizer.lr * 10 >= 1"])
        values = trial(0, 0.0).values
        for seed in range(50):
            assert explore(bounded, values, random.Random(seed))["optimizer.lr"] >= 0.1

    def test_where_nothing_else_is_allowed(self):
        stuck = space(
            {"optimizer.lr": [0.1, 0.2], "model.n_latent": [8, 16]},
            ["optimizer.lr * model.n_latent in [0.8, 3.2]"],
        )
        values = {"model.n_latent": 8, "optimizer.lr": 0.1}
        assert explore(stuck, values, random.Random(0)) == values

    def test_inactive_dimensions_stay_away(self):
        raw = {
            "optimizer.name": ["sgd", "adagrad"],
            "optimizer.lr": {"low": 0.01, "high": 1.0, "log": True},
            "optimizer.reg_bias": {"low": 0.1, "high": 0.2, "when": {"optimizer.name": "sgd"}},
        }
        values = {"optimizer.name": "adagrad", "optimizer.lr": 0.1}
        moved = explore(space(raw), values, random.Random(0))
        assert moved.keys() == values.keys()
        assert moved["optimizer.name"] == "adagrad"


def study(sweep=None, **training):
    training = {"n_iter": 40, "eval_every": 5} | training
    sweep = {"scheduler": {"kind": "pbt"}, "num_trials": 8, "space": RAW} | (sweep or {})
    return StudySettings.model_validate(
        {"data": {"source": "synthetic"}, "training": training, "sweep": sweep}
    )


def test_numbers_of_trials():
    assert make_plan(study()).n_trials == 8
    assert make_plan(study()).most_copies == 3 * 2
    assert make_plan(study(n_iter=41)).most_copies == 4 * 2
    assert make_plan(study({"scheduler": {"kind": "asha"}})).most_copies == 0


WHEN = {"low": 0.0, "high": 0.1, "when": {"optimizer.reg_bias": 0.1}}


@pytest.mark.parametrize(
    ("sweep", "training", "message"),
    [
        ({"space": {"model.n_latent": [8, 16]}}, {}, "scheduler.kind: pbt changes optimizer.lr, .*"
         "none of them is searched, got model.n_latent"),
        ({"search": {"algorithm": "grid"}, "num_trials": None,
          "space": {"optimizer.lr": [0.1, 0.2]}}, {}, "scheduler.kind: pbt .* a grid compares"),
        ({"space": RAW | {"training.eval_every": [5, 10]}}, {},
         "training.eval_every: pbt compares all trials at the same epochs"),
        ({}, {"eval_every": 4}, "scheduler.interval: .* multiple of training.eval_every, "
         "got 10 and 4"),
        ({}, {"n_iter": 10}, "scheduler.interval: it must be below .* got 10 and 10"),
        ({"num_trials": 1}, {}, "num_trials: pbt needs a population of 2 or more, got 1"),
        ({"space": RAW | {"optimizer.reg_positive": WHEN}}, {},
         "optimizer.reg_positive: pbt changes optimizer.reg_bias while .* no `when`"),
    ],
)  # fmt: skip
def test_settings_that_no_population_can_have(sweep, training, message):
    with pytest.raises(SpaceError, match=message):
        make_plan(study(sweep, **training))
