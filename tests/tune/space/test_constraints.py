"""Constraints: what is read, what is refused, and that no refused point is ever drawn."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.errors import SpaceError
from hbpr.settings.models import TrialSettings
from tune.space import Space
from tune.space.check import allowed_sample, check_space, data_settings
from tune.space.constraints import Constraint

BASE = TrialSettings()
PRODUCT = "model.n_latent * training.batch_size <= 100000"


def holds(text, **values):
    given = {key.replace("__", "."): value for key, value in values.items()}
    return Constraint.parse(text).beside(BASE).holds(given)


class TestReading:
    @given(a=st.integers(1, 100), b=st.integers(1, 100))
    def test_arithmetic_is_pythons(self, a, b):
        values = {"model__n_latent": a, "training__n_iter": b}
        assert holds("model.n_latent * training.n_iter + 3 <= 500", **values) == (a * b + 3 <= 500)
        assert holds("model.n_latent // training.n_iter == 2", **values) == (a // b == 2)
        assert holds("-model.n_latent % 7 != training.n_iter / 2", **values) == (-a % 7 != b / 2)
        assert holds("1 < model.n_latent <= training.n_iter", **values) == (1 < a <= b)

    def test_words(self):
        implied = 'training.loss_function == "bpr_loss" or optimizer.lr < 0.1'
        assert holds(implied, optimizer__lr=0.5)
        assert not holds(implied, optimizer__lr=0.5, training__loss_function="hinge_loss")
        assert holds('not optimizer.name in ["sgd", "adam"]', optimizer__name="adagrad")
        assert not holds('optimizer.name not in ["sgd", "adam"]', optimizer__name="sgd")
        assert holds("training.top_k == [10, 20] and model.item_bias == True")

    def test_settings_that_are_not_searched_are_the_bases(self):
        assert holds("model.n_latent == 64")
        assert not holds("model.n_latent == 64", model__n_latent=32)

    def test_a_division_by_zero_does_not_hold(self):
        assert not holds("1 / optimizer.reg_bias > 0")

    def test_what_cannot_be_compared_is_an_error(self):
        with pytest.raises(SpaceError, match=r"cannot be computed for optimizer\.name='adagrad'"):
            holds("optimizer.name < 3")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (3, "a constraint is text"),
            ("model.n_latent <", "cannot be read"),
            ("model.n_latent + 1", "compares nothing"),
            ("model.n_latnt < 3", "Did you mean model.n_latent?"),
            ("model < 3", "model is no setting"),
            ("optimizer.name == sgd", "text in quotes"),
            ("model.n_latent ** 9 < 3", "operator Pow is not allowed"),
            ("__import__('os').system('true') == 0", "is not allowed"),
            ("model.n_latent.__class__ == 3", "is no setting"),
            ("(lambda: 3)() < model.n_latent", "is not allowed"),
            ("[x for x in training.top_k] == 3", "is not allowed"),
            ("model.n_latent < 3j", "is not allowed"),
            ("training.top_k[0] < 3", "is not allowed"),
            ("model.n_latent is 3", "operator Is is not allowed"),
        ],
    )
    def test_everything_else_is_refused(self, text, words):
        with pytest.raises(SpaceError) as caught:
            Constraint.parse(text)
        assert str(caught.value).startswith("constraints: ")
        assert words in str(caught.value)


class TestSpace:
    RAW = {  # noqa: RUF012
        "model.n_latent": [16, 64, 256],
        "training.batch_size": {"low": 1024, "high": 8192, "step": 1024},
    }

    def test_a_grid_leaves_refused_points_out(self):
        whole = check_space(Space.parse(self.RAW), BASE).grid()
        left = check_space(Space.parse(self.RAW, [PRODUCT]), BASE).grid()
        assert left == [
            point
            for point in whole
            if point["model.n_latent"] * point["training.batch_size"] <= 100000
        ]
        assert 0 < len(left) < len(whole)

    def test_it_must_name_something_searched(self):
        with pytest.raises(SpaceError, match="names nothing that is searched"):
            Space.parse(self.RAW, ["optimizer.lr < 3"])

    def test_a_space_of_next_to_nothing_is_refused(self):
        with pytest.raises(SpaceError, match="leave 0 of 10,000 points"):
            check_space(Space.parse(self.RAW, ["model.n_latent < 3"]), BASE)

    def test_holes_that_the_settings_have_are_sampled_around(self, spans):
        before, after = "training.negatives.before", "training.negatives.after"
        raw = {before: {"low": 0.5, "high": 0.9}, after: {"low": 0.05, "high": 0.3}}
        with pytest.raises(SpaceError, match="is refused"):
            check_space(Space.parse(raw), spans)
        check_space(Space.parse(raw, [f"{before} + {after} < 1"]), spans)
        with pytest.raises(SpaceError, match="is refused"):
            check_space(Space.parse(raw, [f"{before} + {after} < 1.1"]), spans)

    def test_datasets_that_are_refused_are_not_prepared(self):
        raw = {
            "data.item_feature": ["indicator", "metadata"],
            "data.user_feature": ["indicator", "metadata"],
        }
        rule = "data.item_feature == 'indicator' or data.user_feature == 'indicator'"
        space = check_space(Space.parse(raw, [rule]), BASE)
        assert len(data_settings(space, BASE)) == 3

    def test_an_inactive_dimension_has_its_base_setting(self):
        raw = {
            "training.loss_function": ["bpr_loss", "hinge_loss"],
            "optimizer.lr": {
                "low": 0.1,
                "high": 1.0,
                "when": {"training.loss_function": "hinge_loss"},
            },
        }
        space = check_space(Space.parse(raw, ["optimizer.lr > 0.2"]), BASE)
        assert {p["training.loss_function"] for p in allowed_sample(space)} == {"hinge_loss"}

    def test_pickles(self):
        space = check_space(Space.parse(self.RAW, [PRODUCT]), BASE)
        assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301
