"""Dimensions of settings that only some kinds of a section have."""

import random
from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import SpaceError
from hbpr.settings.load import with_values
from hbpr.settings.models import MixedNegatives, TrialSettings, UniformNegatives
from tune.settings import load_study
from tune.space import Space
from tune.space.check import check_space

CONFIGS = sorted((Path(__file__).parents[3] / "configs").rglob("*.yaml"))
KIND, SHARE = "training.negatives.kind", "training.negatives.observed"
SHARES = {"low": 0.1, "high": 0.9}
UNIFORM = TrialSettings()
MIXED = TrialSettings(training={"negatives": {"kind": "mixed", "observed": 0.3}})


def refusal(raw, base):
    with pytest.raises(SpaceError) as caught:
        check_space(Space.parse(raw), base)
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_trial_of_the_shipped_studies_is_valid(path):
    plan = load_study(path)
    for values in plan.space.allowed_points(random.Random(0), 64):
        assert with_values(plan.base, values)


@pytest.mark.parametrize("base", [UNIFORM, MIXED])
def test_a_kind_is_searched_over_a_base_that_has_fields_of_its_own(base):
    raw = {KIND: ["uniform", "mixed"], SHARE: {**SHARES, "when": {KIND: "mixed"}}}
    space = check_space(Space.parse(raw), base)
    for values in space.allowed_points(random.Random(0), 20):
        negatives = with_values(base, values).training.negatives
        if values[KIND] == "mixed":
            assert negatives == MixedNegatives(observed=values[SHARE])
        else:
            assert negatives == UniformNegatives()


def test_without_a_searched_kind_the_base_must_have_the_setting():
    assert check_space(Space.parse({SHARE: SHARES}), MIXED).keys == {SHARE}
    assert refusal({SHARE: SHARES}, UNIFORM) == (
        f"{SHARE}: kind uniform has no such setting, and a trial of it would get one. Set {KIND} "
        f"to mixed, or search it too and add when: {{{KIND}: mixed}}."
    )


@pytest.mark.parametrize("base", [UNIFORM, MIXED])
@pytest.mark.parametrize("kinds", [["mixed", "uniform"], ["uniform", "mixed"]])
def test_a_setting_without_its_when_says_to_add_it(base, kinds):
    expected = (
        f"{SHARE}: kind uniform has no such setting, and a trial of it would get one. "
        f"Add when: {{{KIND}: mixed}}."
    )
    assert refusal({KIND: kinds, SHARE: SHARES}, base) == expected
    wrong = {**SHARES, "when": {KIND: ["uniform", "mixed"]}}
    assert refusal({KIND: kinds, SHARE: wrong}, base) == expected


def test_a_condition_on_a_dimension_that_needs_the_kind_is_enough():
    raw = {
        KIND: ["uniform", "mixed", "popularity"],
        SHARE: {**SHARES, "when": {KIND: "mixed"}},
        "optimizer.lr": {"choices": [0.1, 0.2], "when": {KIND: "mixed"}},
    }
    assert len(check_space(Space.parse(raw), UNIFORM).dimensions) == 3
    raw[SHARE] = {**SHARES, "when": {"optimizer.lr": 0.1}}
    assert len(check_space(Space.parse(raw), UNIFORM).dimensions) == 3


def test_a_dimension_that_the_base_rules_out_is_dropped():
    raw = {SHARE: {**SHARES, "when": {KIND: "mixed"}}, "optimizer.lr": [0.1, 0.2]}
    assert check_space(Space.parse(raw), UNIFORM).keys == {"optimizer.lr"}


def test_in_a_file_the_line_is_named(tmp_path, capsys):
    path = tmp_path / "x.yaml"
    path.write_text(f"sweep:\n  space:\n    {KIND}: [uniform, mixed]\n    {SHARE}: [.1, .3]\n")
    assert run(cli, ["config", "check", str(path)]) == 2
    assert f"x.yaml, line 4, {SHARE}: kind uniform has no such" in capsys.readouterr().err


def test_a_setting_of_a_searched_kind_over_a_base_of_another() -> None:
    raw = {"model.kind": ["neumf"], "model.dropout": {"low": 0.1, "high": 0.5}}
    space = check_space(Space.parse(raw), TrialSettings())
    assert space.keys == {"model.kind", "model.dropout"}
    with pytest.raises(SpaceError, match=r"model\.dropout: kind mf has no such setting, and a"):
        check_space(Space.parse({**raw, "model.kind": ["neumf", "mf"]}), TrialSettings())
