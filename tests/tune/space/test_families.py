"""Spaces over several families of models."""

import pytest

from hbpr.errors import SpaceError
from hbpr.settings.load import with_values
from hbpr.settings.models import EaseSettings, IalsSettings, TrialSettings
from tune.settings import StudySettings, make_plan
from tune.space import Space
from tune.space.check import check_space, most_epochs

KIND = "model.kind"
BASE = TrialSettings.model_validate({"model": {"similarity": "cosine", "temperature": 0.2}})
LR = {"low": 0.01, "high": 0.1}


def refusal(raw, base=BASE):
    with pytest.raises(SpaceError) as caught:
        check_space(Space.parse(raw), base)
    return str(caught.value)


def test_settings_of_another_family_in_the_base_do_not_stand_in_the_way():
    raw = {
        KIND: ["mf", "ease", "ials"],
        "model.regularisation": {"low": 10.0, "high": 900.0, "when": {KIND: "ease"}},
    }
    check_space(Space.parse(raw), BASE)
    values = {KIND: "ease", "model.regularisation": 30.0}
    assert with_values(BASE, values).model == EaseSettings(regularisation=30.0)
    assert with_values(BASE, {KIND: "ials"}).model == IalsSettings()


@pytest.mark.parametrize("key", ["optimizer.lr", "training.loss_function", "data.item_feature"])
def test_what_a_solved_model_does_not_look_at_needs_a_when(key):
    values = {
        "optimizer.lr": LR,
        "training.loss_function": ["bpr_loss"],
        "data.item_feature": ["indicator", "both"],
    }[key]
    text = refusal({KIND: ["mf", "ease", "ials"], key: values})
    assert text == (
        f"{key}: model.kind ease and ials is solved for and does not look at it, so a search "
        "would learn from chance. Add when: {model.kind: mf}."
    )
    wanted = {KIND: "mf"}
    dimension = (
        {**values, "when": wanted} if key == "optimizer.lr" else {"choices": values, "when": wanted}
    )
    check_space(Space.parse({KIND: ["mf", "ease", "ials"], key: dimension}), BASE)


def test_alone_it_is_to_be_left_out():
    base = TrialSettings.model_validate({"model": {"kind": "ease"}})
    assert "Leave it out." in refusal({"optimizer.lr": LR}, base)


def test_whole_models_can_be_choices():
    raw = {
        "model": [{"kind": "ease", "regularisation": 100.0}, {"kind": "mf", "n_latent": 8}],
        "optimizer.lr": {**LR, "when": {KIND: "mf"}},
    }
    check_space(Space.parse(raw), BASE)
    assert "ease is solved for" in refusal({**raw, "optimizer.lr": LR})


@pytest.mark.parametrize(
    ("space", "base", "expected"),
    [
        ({KIND: ["mf", "ials"]}, {"training": {"n_iter": 40}}, 40),
        ({KIND: ["ease", "ials"]}, {"training": {"n_iter": 40}}, 16),
        ({"model.iterations": [5, 50]}, {"model": {"kind": "ials"}}, 50),
        (
            {
                KIND: ["mf", "ials"],
                "model.iterations": {"choices": [5, 60], "when": {KIND: "ials"}},
            },
            {"training": {"n_iter": 40}},
            60,
        ),
        ({"model.regularisation": [5.0, 50.0]}, {"model": {"kind": "ease"}}, 1),
    ],
)
def test_a_study_lasts_as_long_as_its_longest_family(space, base, expected):
    base = TrialSettings.model_validate(base)
    assert most_epochs(check_space(Space.parse(space), base), base) == expected


@pytest.mark.parametrize("kind", ["asha", "hyperband", "median", "none"])
def test_a_study_of_one_report_can_be_planned(kind):
    sweep = {"space": {"model.regularisation": [5.0, 50.0]}, "scheduler": {"kind": kind}}
    plan = make_plan(StudySettings.model_validate({"model": {"kind": "ease"}, "sweep": sweep}))
    assert plan.max_epochs == 1
    assert plan.scheduler.decision_epochs(plan.max_epochs) == []
