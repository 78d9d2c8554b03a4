import itertools
import json
import pickle

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.errors import SpaceError
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from tune.space import Space
from tune.space.check import check_space, data_points, data_settings, largest
from tune.space.domains import Choice, FloatRange, IntRange, same
from tune.space.parse import searchable_keys
from tune.space.parse_dimension import parse_dimension

BASE = TrialSettings()
#: Losses stand in for a tree of conditions: two levels below training.loss_function.
TREE = {
    "optimizer.reg_user": {"low": 0.0, "high": 0.5, "step": 0.25, "when": {"optimizer.lr": 0.1}},
    "optimizer.lr": {"choices": [0.1, 0.2], "when": {"training.loss_function": "bpr_loss"}},
    "training.loss_function": ["bpr_loss", "hinge_loss"],
    "model.n_latent": [8, 16],
}


def refusal(raw, base=BASE):
    with pytest.raises(SpaceError) as caught:
        check_space(Space.parse(raw), base)
    return str(caught.value)


def fixed_trial(params):
    return optuna.trial.FixedTrial(params)


class TestDimensions:
    @pytest.mark.parametrize(
        ("raw", "domain"),
        [
            ([1, 2], Choice((1, 2))),
            ({"choices": ["a", None, True]}, Choice(("a", None, True))),
            ({"low": 1, "high": 5}, IntRange(1, 5)),
            ({"low": 16, "high": 128, "step": 16}, IntRange(16, 128, 16)),
            ({"low": 1, "high": 128, "log": True}, IntRange(1, 128, log=True)),
            ({"low": 1e-3, "high": 1, "log": True}, FloatRange(1e-3, 1.0, log=True)),
            ({"low": 0, "high": 1, "step": 0.25}, FloatRange(0.0, 1.0, 0.25)),
        ],
    )
    def test_forms(self, raw, domain):
        assert parse_dimension("model.n_latent", raw).domain == domain

    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            (0.1, "belongs in the setting itself"),
            ([], "at least one value"),
            ({"choices": []}, "at least one value"),
            ({"choices": "mf"}, "choices must be a list, got 'mf'"),
            ([0.1, 0.1], "a choice appears twice: 0.1"),
            ([1, True], "a choice appears twice: True"),
            ([[1, 2], [1, 2]], "a choice appears twice"),
            ([float("nan")], "a choice must be a number"),
            ([object()], "a choice must be a number"),
            ({"low": 1}, "high is missing"),
            ({"low": True, "high": 2}, "low must be a number, got True"),
            ({"low": "a", "high": 2}, "low must be a number, got 'a'"),
            ({"low": 0.0, "high": float("inf")}, "high must be a number, got inf"),
            ({"low": 0.1, "high": 0.01}, "low must be below high, got low=0.1, high=0.01. Swap"),
            ({"low": 2, "high": 2}, "Set the value itself"),
            ({"low": 1, "high": 8, "log": True, "step": 1}, "a log range takes no step"),
            ({"low": 0.0, "high": 1.0, "log": True}, "low must be above 0 in a log range"),
            ({"low": 1, "high": 8, "log": 1}, "log must be true or false, got 1"),
            ({"low": 1, "high": 8, "step": 0}, "step must be above 0"),
            ({"low": 16, "high": 100, "step": 16}, "Take high=96 or 112"),
            ({"low": 0.0, "high": 0.1, "step": 0.3}, "Take high=0.3"),
            ({"low": 1, "hihg": 8}, "unknown key 'hihg'. Did you mean high?"),
            ({"choices": [1, 2], "low": 1}, "unknown key 'low'"),
            ({"low": 1, "high": 8, "when": "x"}, "when must map a setting"),
            ({"low": 1, "high": 8, "when": {"a.b": []}}, "at least one value is needed"),
        ],
    )
    def test_bad_ones_are_refused(self, raw, words):
        with pytest.raises(SpaceError) as caught:
            parse_dimension("optimizer.lr", raw)
        assert str(caught.value).startswith("optimizer.lr: ")
        assert words in str(caught.value)

    def test_stepped_floats_are_the_same_numbers_everywhere(self):
        domain = parse_dimension("x", {"low": 0.1, "high": 0.7, "step": 0.1}).domain
        assert domain.points() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = {domain.suggest(study.ask(), "x") for _ in range(60)}
        assert drawn == set(domain.points())

    @given(
        low=st.integers(-50, 50),
        steps=st.integers(1, 20),
        step=st.integers(1, 9),
    )
    def test_points_of_whole_ranges(self, low, steps, step):
        raw = {"low": low, "high": low + steps * step, "step": step}
        domain = parse_dimension("x", raw).domain
        assert len(domain.points()) == steps + 1
        assert all(domain.contains(point) for point in domain.points())
        assert not domain.contains(low + step * steps + step)

    def test_same_tells_true_from_one(self):
        assert same((64, 32), [64, 32])
        assert not same(True, 1)
        assert not same([1], [1, 2])


class TestParse:
    def test_unknown_key_names_the_nearest(self):
        assert refusal({"optimizer.lrr": [0.1]}) == (
            "optimizer.lrr: no such setting. Did you mean optimizer.lr?"
        )

    def test_short_key_names_the_full_one(self):
        assert "no such setting" in refusal({"lr": [0.1]})

    def test_a_section_needs_choices_that_are_mappings(self):
        assert "optimizer.lr" in refusal({"optimizer": {"lr": [0.1, 0.2]}})
        assert "model.kind" in refusal({"model": ["mf"]})

    @pytest.mark.parametrize("key", ["mlflow.experiment_name", "training.monitor"])
    def test_the_studys_own_settings_are_refused(self, key):
        assert refusal({key: ["a", "b"]}) == (
            f"{key}: not searchable: it belongs to the study, not to a trial."
        )

    def test_an_empty_space_is_refused(self):
        assert "empty" in refusal({})

    def test_every_setting_of_the_schema_is_a_key(self):
        assert "data.item_feature" in searchable_keys()
        assert "training.negatives" not in searchable_keys()
        assert "data.split.train" not in searchable_keys(), "see tests/tune/space/test_exam.py"

    def test_rings_are_refused(self):
        ring = {
            "optimizer.lr": {"choices": [0.1], "when": {"model.n_latent": 8}},
            "model.n_latent": {"choices": [8], "when": {"optimizer.lr": 0.1}},
        }
        assert "ring: optimizer.lr -> model.n_latent -> optimizer.lr" in refusal(ring)

    def test_conditions_are_checked(self):
        lr = {"low": 0.1, "high": 0.2}
        assert "Did you mean model.n_latent?" in refusal(
            {"optimizer.lr": {**lr, "when": {"model.n_latnt": 8}}}
        )
        assert "never takes the value 9" in refusal(
            {"optimizer.lr": {**lr, "when": {"model.n_latent": [8, 9]}}, "model.n_latent": [8]}
        )
        assert "when training.loss_function: must be" in refusal(
            {"optimizer.lr": {**lr, "when": {"training.loss_function": "bprloss"}}}
        )

    def test_parents_come_first(self):
        keys = [d.key for d in Space.parse(TREE).dimensions]
        assert keys == [
            "training.loss_function",
            "optimizer.lr",
            "optimizer.reg_user",
            "model.n_latent",
        ]

    def test_pickles(self):
        space = Space.parse(TREE)
        assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301


class TestCheck:
    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            ({"optimizer.lr": {"low": -1.0, "high": 1.0}}, "optimizer.lr: must be greater than 0"),
            ({"optimizer.lr": {"low": 0.1, "high": 1e6}}, "got 1000000.0"),
            ({"model.n_latent": {"low": 8.0, "high": 64.0}}, "must be a whole number, got 8.0"),
            ({"training.loss_function": ["bpr_loss", "bpr"]}, "training.loss_function: must be"),
            ({"model.kind": ["mf", "mff"]}, "got 'mff'"),
            ({"optimizer.reg_user": {"low": 0, "high": 1}}, "low: 0.0"),
            ({"model.hidden": [[64, 32], [0]]}, "model.hidden"),
        ],
    )
    def test_every_end_is_tried(self, raw, words):
        assert words in refusal(raw)

    def test_whole_steps_over_a_fraction_are_allowed(self):
        check_space(Space.parse({"optimizer.reg_user": {"low": 0, "high": 2, "step": 1}}), BASE)

    def test_values_that_only_the_base_refuses_are_allowed(self, spans):
        before, after = "training.negatives.before", "training.negatives.after"
        check_space(Space.parse({before: [0.9, 0.5], after: [0.01, 0.05]}), spans)

    def test_values_refused_together_are_named(self, spans):
        raw = {"training.negatives.before": [0.5, 0.75], "training.negatives.after": [0.1, 0.3]}
        assert "0.75" in refusal(raw, spans)
        assert "0.3" in refusal(raw, spans)

    def test_conditions_on_unsearched_settings_are_resolved(self):
        raw = {
            "model.n_latent": [8, 16],
            "optimizer.lr": {"choices": [0.1], "when": {"training.loss_function": "hinge_loss"}},
            "optimizer.reg_user": {"choices": [0.1], "when": {"optimizer.lr": 0.1}},
        }
        space = Space.parse(raw)
        assert [d.key for d in check_space(space, BASE).dimensions] == ["model.n_latent"]
        hinge = with_values(BASE, {"training.loss_function": "hinge_loss"})
        assert len(check_space(space, hinge).dimensions) == 3
        del raw["model.n_latent"]
        assert "no dimension can be active" in refusal(raw)

    def test_conditions_that_exclude_each_other_are_refused(self):
        raw = {
            "model.n_latent": [8, 16],
            "optimizer.lr": {"choices": [0.1], "when": {"model.n_latent": 8}},
            "optimizer.reg_user": {
                "choices": [0.1],
                "when": {"optimizer.lr": 0.1, "model.n_latent": 16},
            },
        }
        assert "can never all hold" in refusal(raw)


class TestPoints:
    def test_grid_in_order(self):
        space = Space.parse({"model.n_latent": [32, 64, 128], "optimizer.lr": [0.001, 0.01]})
        expected = [
            {"model.n_latent": d, "optimizer.lr": lr}
            for d, lr in itertools.product([32, 64, 128], [0.001, 0.01])
        ]
        assert space.grid() == expected

    def test_conditional_grid_has_no_point_twice(self):
        points = Space.parse(TREE).grid()
        # bpr: lr 0.1 with three regs and lr 0.2 without; hinge: neither; times two sizes
        assert len(points) == (3 + 1 + 1) * 2
        assert len({json.dumps(p, sort_keys=True) for p in points}) == len(points)
        assert {"training.loss_function": "hinge_loss", "model.n_latent": 8} in points

    @pytest.mark.parametrize("raw", [{"low": 0.1, "high": 0.2}, {"low": 1, "high": 8, "log": True}])
    def test_a_grid_refuses_ranges_without_step(self, raw):
        with pytest.raises(SpaceError, match=r"optimizer\.lr: a grid needs"):
            Space.parse({"optimizer.lr": raw}).grid()

    def test_a_grid_refuses_what_nobody_would_wait_for(self):
        whole = {"low": 1, "high": 1000}
        with pytest.raises(SpaceError, match="more than 100,000 points"):
            Space.parse({"model.n_latent": whole, "training.n_iter": whole}).grid()

    def test_data_points(self):
        lr = {"low": 0.1, "high": 0.2}
        assert data_points(Space.parse({"optimizer.lr": lr}), BASE) == [{}]
        space = Space.parse(
            {
                "optimizer.lr": lr,
                "training.loss_function": ["bpr_loss", "hinge_loss"],
                "data.item_feature": {
                    "choices": ["indicator", "metadata"],
                    "when": {"training.loss_function": "hinge_loss"},
                },
                "data.user_feature": ["indicator", "both"],
            }
        )
        points = data_points(space, BASE)
        assert len(points) == 2 + 2 * 2
        assert {"data.user_feature": "both"} in points
        # item_feature: indicator is the base setting, so two of the six are the same data
        assert len(data_settings(space, BASE)) == 4

    def test_data_points_must_be_finite(self):
        raw = {
            "optimizer.lr": {"low": 0.1, "high": 1.0},
            "data.item_feature": {"choices": ["both"], "when": {"optimizer.lr": 0.5}},
        }
        with pytest.raises(SpaceError, match=r"optimizer\.lr: dimensions that change the data"):
            data_points(Space.parse(raw), BASE)

    def test_largest(self):
        space = Space.parse({"training.n_iter": {"low": 10, "high": 40, "log": True}})
        assert largest(space, "training.n_iter", BASE) == 40
        assert largest(space, "model.n_latent", BASE) == BASE.model.n_latent


class TestSuggest:
    def test_inactive_dimensions_are_left_out(self):
        space = Space.parse(TREE)
        values = space.suggest(
            fixed_trial({"training.loss_function": "hinge_loss", "model.n_latent": 16})
        )
        assert values == {"training.loss_function": "hinge_loss", "model.n_latent": 16}

    def test_structures_are_json_in_the_journal_and_lists_in_trials(self):
        space = Space.parse({"model.hidden": [[10], [10, 20]]})
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        trial = study.ask()
        values = space.suggest(trial)
        assert values["model.hidden"] in ([10], [10, 20])
        assert trial.params == space.encode(values)
        assert isinstance(trial.params["model.hidden"], str)
        assert space.decode(trial.params) == values

    @settings(max_examples=20)
    @given(seed=st.integers(0, 2**31 - 1))
    def test_what_is_drawn_is_what_the_settings_take(self, seed):
        raw = {
            **TREE,
            "data.item_feature": ["indicator", "metadata", "both"],
            "optimizer.reg_bias": {"low": 1e-6, "high": 1.0, "log": True},
            "training.batch_size": {"low": 256, "high": 4096, "log": True},
            "model.hidden": [[10], [10, 20]],
        }
        neumf = with_values(BASE, {"model.kind": "neumf"})
        space = check_space(Space.parse(raw), neumf)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        for _ in range(5):
            trial = study.ask()
            values = space.suggest(trial)
            with_values(neumf, values)
            assert space.decode(trial.params) == values
            point = {k: v for k, v in values.items() if k.startswith("data.")}
            assert point in data_points(space, neumf)


DOMAINS = [
    Choice((8, 16, 64)),
    Choice(([10], [10, 20])),
    IntRange(1, 5),
    IntRange(16, 128, 16),
    IntRange(1, 128, log=True),
    FloatRange(0.0, 1.0),
    FloatRange(1e-4, 1.0, log=True),
    FloatRange(0.1, 0.7, 0.1),
]


class TestPlaces:
    @pytest.mark.parametrize("domain", DOMAINS, ids=str)
    @given(share=st.floats(0.0, 1.0, exclude_max=True))
    def test_every_place_is_a_value(self, domain, share):
        value = domain.at(share)
        assert domain.contains(value)
        assert domain.decode(domain.encode(value)) == value
        assert domain.distribution()._contains(
            domain.distribution().to_internal_repr(domain.encode(value))
        )

    @pytest.mark.parametrize("domain", DOMAINS, ids=str)
    def test_the_ends_and_the_shares(self, domain):
        assert domain.at(0.0) == pytest.approx(domain.probes()[0])
        assert domain.at(1.0 - 1e-12) == pytest.approx(domain.probes()[-1])
        if isinstance(domain, Choice) or not domain.log:
            points = domain.points()
            drawn = [domain.at((i + 0.5) / 840) for i in range(840)]
            for point in points or []:
                assert drawn.count(point) == 840 / len(points)

    def test_distances(self):
        raw = {
            "optimizer.lr": {"low": 0.01, "high": 1.0, "log": True},
            "model.n_latent": {"low": 10, "high": 20},
            "optimizer.name": ["adam", "sgd"],
            "optimizer.reg_bias": {"low": 0.0, "high": 1.0, "when": {"optimizer.name": "sgd"}},
        }
        space = check_space(Space.parse(raw), BASE)
        point = {"optimizer.lr": 0.1, "model.n_latent": 10, "optimizer.name": "adam"}
        assert space.distance(point, point) == 0.0
        assert space.distance(point, {**point, "optimizer.lr": 1.0}) == pytest.approx(0.25)
        assert space.distance(point, {**point, "model.n_latent": 20}) == 1.0
        other = {**point, "optimizer.name": "sgd", "optimizer.reg_bias": 0.3}
        assert space.distance(point, other) == space.distance(other, point) == 2.0
