"""Dimensions whose choices are whole sections of settings."""

import json
import random

import optuna
import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import SpaceError
from hbpr.formats import as_cell
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings, UniformNegatives
from hbpr.tracking.findings import Winner
from hbpr.tracking.records import Identity, StudyRecord, Tracking, TrialRecord
from tune.answer.importance import importance
from tune.forecast.curves import Curve, Curves
from tune.forecast.replay import Strategy, replay
from tune.report.note import study_note
from tune.schedulers import NoneSettings
from tune.search.draw import draw_allowed
from tune.search.samplers import Samplers
from tune.settings import StudySettings, make_plan
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space, data_settings, largest
from tune.space.points import check_point, settings_point
from tune.tracking.events import study_start, trial_start
from tune.warm_start.earlier import _point
from tune.warm_start.from_mlflow import _values

KEY = "training.negatives"
UNIFORM, MIXED = {"kind": "uniform"}, {"kind": "mixed", "observed": 0.3}
CHOICES = {KEY: {"choices": [UNIFORM, MIXED]}}
NEGATIVES = {"kind": "mixed", "observed": 0.7, "per_positive": 3}
BASE = TrialSettings(training={"negatives": NEGATIVES})


def space_of(raw=None, constraints=(), base=BASE):
    return check_space(Space.parse(raw or CHOICES, constraints), base)


def refusal(raw, constraints=(), base=BASE):
    with pytest.raises(SpaceError) as caught:
        space_of(raw, constraints, base)
    return str(caught.value)


def study(**sweep):
    return StudySettings.model_validate(
        {
            "training": {"negatives": {"kind": "mixed", "observed": 0.7}},
            "sweep": {"space": CHOICES, **sweep},
        }
    )


def trial(number, values, value=0.1):
    return TrialRecord(number, values, "COMPLETE", value, {1: value})


class TestApplying:
    def test_a_choice_sets_what_it_names_and_the_rest_stays_as_in_the_file(self):
        negatives = with_values(BASE, {KEY: MIXED}).training.negatives
        assert (negatives.kind, negatives.observed, negatives.per_positive) == ("mixed", 0.3, 3)
        assert with_values(BASE, {KEY: UNIFORM}).training.negatives == UniformNegatives(
            per_positive=3
        )

    def test_a_section_that_is_left_out_can_be_one_of_the_choices(self):
        growth = {"share": 0.1, "epochs": 2, "factor": 3.0}
        space = space_of({"training.growth": [None, growth]})
        found = [with_values(BASE, point).training.growth for point in space.grid()]
        assert found[0] is None
        assert found[1].model_dump() == growth

    def test_sections_of_sections(self):
        whole = {"loss_function": "warp_loss", "negatives": {"warp_draws": 4}, "n_iter": 7}
        space = space_of({"training": [{"n_iter": 3}, whole]})
        training = with_values(BASE, space.grid()[1]).training
        assert (training.loss_function, training.n_iter) == ("warp_loss", 7)
        assert (training.negatives.warp_draws, training.negatives.observed) == (4, 0.7)
        assert largest(space, "training.n_iter", BASE) == 7
        assert largest(space, "training.batch_size", BASE) == BASE.training.batch_size

    def test_the_data_of_every_choice_are_prepared(self):
        choices = [{"item_feature": "both"}, {"user_feature": "both"}]
        found = data_settings(space_of({"data": choices}), BASE)
        assert [(each.item_feature, each.user_feature) for each in found] == [
            ("both", "indicator"),
            ("indicator", "both"),
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            ({KEY: [UNIFORM, {"kind": "mixd"}]}, "the choice {kind=mixd} is refused: "),
            ({KEY: [{"kind": "mixed", "observd": 0.3}]}, "Did you mean observed?"),
            ({KEY: [{"observed": 3.0}]}, "training.negatives.observed: must be less than or eq"),
            ({KEY: ["uniform"]}, "mappings of its settings"),
            ({KEY: [UNIFORM, "mixed"]}, "must be a section"),
            ({KEY: [UNIFORM, UNIFORM]}, "appears twice"),
            ({KEY: [UNIFORM, {}]}, "must name a setting of the section, got {}"),
            ({KEY: {"kind": ["uniform"]}}, "write dotted keys such as training.negatives.kind"),
            ({"training.growth": [{"share": 0.1}]}, "training.growth.epochs: is required"),
            ({"training": [{"monitor": "val/auc"}]}, "training.monitor is not searchable"),
        ],
    )
    def test_a_bad_choice_is_named(self, raw, words):
        message = refusal(raw)
        assert message.startswith(f"{next(iter(raw))}: ")
        assert words in message

    def test_what_the_file_has_and_a_choice_does_not_fit(self, spans):
        raw = {KEY: [{"before": 0.8}, {"before": 0.2}]}
        message = refusal(raw, base=spans)
        assert "the choice {before=0.8} is refused: before + after must be below 1" in message
        assert "What a choice does not name stays as the file has it." in message
        raw[KEY][0]["after"] = 0.1
        assert space_of(raw, base=spans)

    def test_a_setting_inside_is_not_searched_beside(self):
        message = refusal({f"{KEY}.observed": [0.1, 0.2], **CHOICES})
        assert message.startswith(f"{KEY}.observed: the section {KEY} is searched too")
        assert "searched too" in refusal({"training": [{"n_iter": 3}], **CHOICES})

    def test_in_a_file_the_line_is_named(self, tmp_path, capsys):
        path = tmp_path / "x.yaml"
        path.write_text(f"sweep:\n  space:\n    {KEY}:\n      - {{kind: mixd}}\n")
        assert run(cli, ["space", "show", str(path)]) == 2
        assert f"x.yaml, line 3, {KEY}: the choice {{kind=mixd}}" in capsys.readouterr().err


class TestConditionsAndConstraints:
    def test_a_condition_on_whole_choices_or_on_one_of_their_settings(self):
        for when in ({KEY: MIXED}, {f"{KEY}.kind": "mixed"}):
            lr = {"low": 0.1, "high": 0.2, "step": 0.1, "when": when}
            space = space_of({"optimizer.lr": lr, **CHOICES})
            assert space.grid() == [
                {KEY: UNIFORM},
                {KEY: MIXED, "optimizer.lr": 0.1},
                {KEY: MIXED, "optimizer.lr": 0.2},
            ]

    @pytest.mark.parametrize(
        ("when", "words"),
        [
            ({f"{KEY}.observed": 0.3}, "{'kind': 'uniform'} of training.negatives does not name"),
            ({f"{KEY}.kind": "adaptive"}, "no choice of training.negatives has the value 'adapti"),
            ({KEY: {"kind": "mixed"}}, "never takes the value {'kind': 'mixed'}"),
            ({"data.split": {"kind": "random"}}, "a section that is not searched; name one"),
        ],
    )
    def test_conditions_that_cannot_be_decided(self, when, words):
        assert words in refusal({"optimizer.lr": {"choices": [0.1], "when": when}, **CHOICES})

    def test_constraints_look_inside(self):
        raw = {"optimizer.lr": [0.1, 0.2], **CHOICES}
        rule = f"{KEY}.kind == 'uniform' or optimizer.lr < 0.15"
        assert len(space_of(raw, [rule]).grid()) == 3
        # a choice that leaves a setting out has the file's
        assert space_of(raw, [f"{KEY}.observed > 0.5"]).grid() == [
            {"optimizer.lr": lr, KEY: UNIFORM} for lr in (0.1, 0.2)
        ]

    def test_a_section_that_is_left_out_has_no_settings(self):
        raw = {"training.growth": [None, {"share": 0.1, "epochs": 2, "factor": 3.0}]}
        assert "cannot be computed" in refusal(raw, ["training.growth.share < 0.5"])


class TestSearching:
    @pytest.mark.parametrize("algorithm", ["tpe", "random", "qmc", "cmaes", "gp", "nsga2", "grid"])
    def test_every_sampler_draws_choices(self, algorithm):
        ranges = {"optimizer.lr": {"low": 0.1, "high": 0.2, "step": 0.1}}
        space = space_of({**ranges, "optimizer.reg_bias": [0.0, 0.1], **CHOICES})
        samplers = Samplers(algorithm, space, seed=0, num_trials=8)
        study = optuna.create_study(direction="maximize")
        drawn = []
        for number in range(8):
            trial = study.ask()
            frozen = study._storage.get_trial(trial._trial_id)
            params = draw_allowed(
                space, study, frozen, samplers.of(number), {}, draws=1, seed=number
            )
            values = space.decode(params)
            drawn.append(values[KEY])
            assert with_values(BASE, values)
            study.tell(trial, float(values[KEY] == MIXED))
        assert UNIFORM in drawn
        assert MIXED in drawn

    def test_what_the_journal_holds_is_read_back(self):
        space = space_of({KEY: [UNIFORM, {"kind": "mixed", "observed": 1}]})
        held = space.encode({KEY: {"observed": 1.0, "kind": "mixed"}})
        assert held[KEY] in space.dimensions[0].domain.distribution().choices
        assert space.decode(held) == {KEY: {"kind": "mixed", "observed": 1}}

    def test_importance_and_replays(self):
        space = space_of({**CHOICES, "optimizer.lr": {"low": 0.1, "high": 0.9}})
        points = space.allowed_points(random.Random(0), 40)
        told = [
            trial(number, point, 0.5 * (point[KEY] == MIXED) + 0.01 * point["optimizer.lr"])
            for number, point in enumerate(points)
        ]
        best = max(told, key=lambda each: each.value).number
        (found,) = importance(told, space, Goals((Objective("val/auc", "max"),)), best)
        assert found.effects[0].setting == KEY
        assert 0.45 < found.effects[0].cost < 0.55
        curves = [Curve(each.values, ((1, each.value, 1.0),)) for each in told]
        none = NoneSettings()
        found = replay(Curves(space, tuple(curves), none), Strategy("tpe", none), seed=0)
        assert found.n_finished == 40


class TestStarting:
    def test_points_name_a_whole_choice(self):
        space = space_of()
        assert check_point(space, {KEY: MIXED}, "x") == {KEY: MIXED}
        with pytest.raises(SpaceError, match="never takes the value"):
            check_point(space, {KEY: {"kind": "mixed"}}, "x")

    def test_settings_are_the_choice_that_names_most_of_them(self):
        space = space_of({KEY: [{"kind": "mixed"}, MIXED, UNIFORM]})
        assert settings_point(space, with_values(BASE, {KEY: MIXED}), "x") == {KEY: MIXED}
        assert settings_point(space, BASE, "x") == {KEY: {"kind": "mixed"}}
        assert settings_point(space, with_values(BASE, {KEY: UNIFORM}), "x") == {KEY: UNIFORM}
        with pytest.raises(SpaceError, match="contains none of its values"):
            settings_point(space, with_values(BASE, {f"{KEY}.kind": "adaptive"}), "x")

    def test_trials_of_earlier_studies(self):
        now = make_plan(study())
        assert _point(now, trial(0, {KEY: MIXED}), now) == ({KEY: MIXED}, None)
        observed = {"choices": [0.3], "when": {f"{KEY}.kind": "mixed"}}
        space = {f"{KEY}.kind": ["mixed", "adaptive"], f"{KEY}.observed": observed}
        then = make_plan(study(space=space))
        had = {f"{KEY}.kind": "mixed", f"{KEY}.observed": 0.3}
        assert _point(then, trial(0, had), now) == ({KEY: MIXED}, None)
        had = {f"{KEY}.kind": "adaptive"}
        assert "outside of its dimension" in _point(then, trial(0, had), now)[1]
        # the other way round: one setting is searched now, the rest of the section must be as now
        assert _point(now, trial(0, {KEY: MIXED}), then)[1] is None
        other = make_plan(study(space={f"{KEY}.kind": ["mixed", "uniform"]}))
        reason = _point(now, trial(0, {KEY: MIXED}), other)[1]
        assert reason == f"{KEY}.observed is not searched now and had another value"


class TestRecords:
    def test_settings_of_a_choice_are_parameters_of_their_own_and_read_back(self):
        space = space_of({**CHOICES, "optimizer.lr": [0.1]})
        for choice in (UNIFORM, MIXED):
            event = trial_start(3, {KEY: choice, "optimizer.lr": 0.1}, "s", None)
            assert json.loads(json.dumps(event)) == event
            assert _values(event["params"], space) == {KEY: choice, "optimizer.lr": 0.1}
        assert event["params"] == {
            f"{KEY}.kind": "mixed",
            f"{KEY}.observed": "0.3",
            "optimizer.lr": "0.1",
        }
        with pytest.raises(ValueError, match="none of its choices"):
            _values({f"{KEY}.kind": "mixed"}, space)

    def test_a_section_that_was_left_out_is_read_back(self):
        raw = {"training.growth": [None, {"share": 0.1, "epochs": 2, "factor": 3.0}]}
        space = space_of(raw)
        for point in space.grid():
            assert _values(trial_start(0, point, "s", None)["params"], space) == point

    def test_the_view_lists_the_settings_of_the_choices(self):
        event = study_start(
            "s",
            folder="/studies/e/s",
            name="n",
            experiment_name="e",
            tracking_uri="sqlite:///x.db",
            settings=study().model_dump(mode="json"),
            metrics=["val/auc"],
        )
        columns = json.loads(json.loads(event["view"][1])["state"])["selectedColumns"]
        assert columns[-2:] == [f"params.`{KEY}.kind`", f"params.`{KEY}.observed`"]

    def test_words(self):
        assert as_cell(MIXED) == "kind=mixed, observed=0.3"
        winner = Winner(1, {KEY: MIXED}, 0.5, 4)
        goals = Goals((Objective("val/auc", "max"),))
        found = StudyRecord(Identity("s", "s", "e"), Tracking("uri"), goals, (), winner=winner)
        assert f"- `{KEY}.observed`: 0.3" in study_note(found)

    def test_space_show(self, tmp_path, capsys):
        path = tmp_path / "x.yaml"
        path.write_text(
            f"sweep:\n  space:\n    {KEY}:\n      choices: [{{kind: uniform}}, "
            "{kind: mixed, observed: 0.3}]\n  start_with: [defaults]\n"
        )
        assert run(cli, ["space", "show", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == f"  {KEY}  one of {{kind=uniform}}, {{kind=mixed, observed=0.3}}"
        assert lines[2] == f"  starts with: {KEY}={{kind=uniform}}"


def test_shares_of_the_data_are_not_searched_beside_data_as_fidelity():
    growth = {"share": 0.1, "epochs": 2, "factor": 3.0}
    for space in (
        {"training.growth": [None, growth]},
        {"training": [{"growth": growth}, {"n_iter": 3}]},
    ):
        with pytest.raises(ValueError, match="given or searched too"):
            study(scheduler={"kind": "asha", "fidelity": "data"}, space=space)
