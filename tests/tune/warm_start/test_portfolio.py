"""Points that were found on other data."""

from pathlib import Path

import pytest

from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from tune.settings import StudySettings, load_study, make_plan
from tune.space import Space
from tune.space.check import check_space
from tune.warm_start.earlier import read_beginning
from tune.warm_start.portfolio import POINTS, portfolio_points

RAW = {
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 0.1},
    "model.n_latent": [16, 32, 64, 128],
    "training.loss_function": ["bpr_loss", "hinge_loss", "warp_loss", "softmax_loss"],
    "training.negatives.per_positive": {
        "choices": [4, 8, 16],
        "when": {"training.loss_function": "softmax_loss"},
    },
}
CONFIGS = Path(__file__).parents[3] / "configs"


def points(raw=RAW, constraints=(), **sections):
    base = TrialSettings.model_validate({"data": {"source": "synthetic"}} | sections)
    space = check_space(Space.parse(raw, constraints), base)
    return portfolio_points(space, base, "start_with: entry 1")


def of(found, raw=RAW):
    """The values of a point that a space has."""
    return {key: value for key, value in found.values.items() if key in raw}


@pytest.mark.parametrize("found", POINTS, ids=lambda found: found.data)
class TestEveryPoint:
    def test_is_settings(self, found):
        settings = with_values(TrialSettings(), found.values)
        assert with_values(settings, found.values) == settings

    def test_has_two_digits(self, found):
        reals = [value for value in found.values.values() if isinstance(value, float)]
        assert reals
        assert all(float(f"{value:.2g}") == value for value in reals)


def test_they_come_in_order_with_what_the_space_has():
    assert points() == [of(found) for found in POINTS]


@pytest.mark.parametrize("name", ["ml-1m", "ML-1M", "1m"])
def test_what_was_found_on_the_own_data_is_left_out(name):
    others = [of(found) for found in POINTS if found.data != "ml-1m"]
    assert points(data={"source": "movielens", "name": name}) == others
    assert 0 < len(others) < len(POINTS)


def test_a_number_outside_of_a_range_becomes_the_nearest_and_a_choice_is_drawn():
    high = min(found.values["optimizer.reg_user"] for found in POINTS) / 2
    raw = RAW | {"model.n_latent": [8], "optimizer.reg_user": {"low": 0.0, "high": high}}
    for point in points(raw):
        assert point["optimizer.reg_user"] == high
        assert "model.n_latent" not in point


def test_what_a_point_does_not_name_is_as_in_the_studys_settings():
    raw = RAW | {
        "data.item_feature": ["indicator", "both"],
        "training.batch_size": {"low": 64, "high": 512},
    }
    data = {"source": "movielens", "name": "ml-100k", "item_feature": "both"}
    for point in points(raw, data=data, training={"batch_size": 100}):
        assert point["data.item_feature"] == "both"
        assert point["training.batch_size"] == 100


def test_a_searched_section_takes_the_choice_that_is_like_the_point():
    raw = {key: value for key, value in RAW.items() if not key.startswith("training.neg")}
    raw["training.negatives"] = [{"kind": "mixed", "observed": 0.3}, {"kind": "uniform"}]
    assert {point["training.negatives"]["kind"] for point in points(raw)} == {"uniform"}


def test_a_loss_that_the_study_cannot_have_leaves_points_out():
    raw = {key: value for key, value in RAW.items() if not key.startswith("training")}
    assert len(points(raw, training={"loss_function": "softmax_loss"})) == len(POINTS)


@pytest.mark.parametrize(
    "other",
    [
        {"model": {"kind": "neumf"}},
        {"optimizer": {"name": "adam"}},
        {"training": {"loss_function": "hinge_loss"}},
    ],
    ids=["model", "optimizer", "loss"],
)
def test_a_study_that_no_point_fits_is_told_and_goes_on(other, caplog):
    raw = {key: value for key, value in RAW.items() if not key.startswith("training")}
    assert points(raw, **other) == []
    (record,) = caplog.records
    assert record.getMessage() == (
        "start_with: entry 1: no point of the portfolio fits; the search begins without"
    )


def test_constraints_leave_points_out():
    highest = max(found.values["optimizer.lr"] for found in POINTS)
    kept = [of(found) for found in POINTS if found.values["optimizer.lr"] < highest]
    assert points(constraints=[f"optimizer.lr < {highest}"]) == kept
    assert 0 < len(kept) < len(POINTS)


def test_no_more_points_than_trials():
    sweep = {"space": RAW, "num_trials": 2, "start_with": [{"optimizer.lr": 0.3}, "portfolio"]}
    settings = StudySettings.model_validate({"data": {"source": "synthetic"}, "sweep": sweep})
    first, second = read_beginning(make_plan(settings)).points
    assert first == {"optimizer.lr": 0.3}
    assert second == points()[0]


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_shipped_studies_start_with_their_own_settings(name):
    plan = load_study(CONFIGS / f"{name}.yaml")
    (found,) = read_beginning(plan).points
    assert found["optimizer.lr"] == plan.base.optimizer.lr
    assert found["model.temperature"] == plan.base.model.temperature
    assert found["training.negatives.observed_weight"] == 3.0


def test_no_point_of_inner_products_fits_a_study_of_cosines(caplog):
    plan = load_study(CONFIGS / "ml-100k.yaml", ["sweep.start_with=[portfolio]"])
    assert read_beginning(plan).points == ()
    assert "no point of the portfolio fits" in caplog.text
