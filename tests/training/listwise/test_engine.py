"""What the listwise engine must do, whatever the loss, the optimizer and the negatives."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError, EngineError
from hbpr.models import build_model
from hbpr.models.base import load_arrays, parameters_as_arrays
from hbpr.settings.load import with_values
from hbpr.settings.models import SharedNegatives, TrialSettings
from hbpr.training import Trainer
from hbpr.training.engine import Engine
from hbpr.training.engines import make_engine, negatives_for
from hbpr.training.listwise.pairs import chances, draw

RULES = [("sgd", 0.01), ("adagrad", 0.1), ("adam", 0.02)]
NEGATIVES = [
    {"kind": "all"},
    {"kind": "all", "mask_positives": True, "observed_weight": 2.0},
    {"kind": "shared", "n_items": 16},
    {"kind": "shared", "n_items": 16, "alpha": 0.0, "observed_weight": 3.0},
]
cases = [
    pytest.mark.parametrize(("rule", "lr"), RULES),
    pytest.mark.parametrize("loss", ["softmax_loss", "bpr_loss"]),
    pytest.mark.parametrize("negatives", NEGATIVES, ids=["all", "masked", "shared", "uniform"]),
    pytest.mark.parametrize("features", ["indicator", "both"]),
]


def all_cases(function: Callable[..., None]) -> Callable[..., None]:
    for case in cases:
        function = case(function)
    return function


@pytest.fixture(name="build")
def _build(settings_of: Callable[..., TrialSettings]) -> Callable[..., Engine]:
    def make(data: Interactions, rule: str, lr: float, **training: Any) -> Engine:
        settings = settings_of(
            model={"similarity": "cosine", "temperature": 0.2, "init_std": 1.0},
            optimizer={"name": rule, "lr": lr, "reg_user": 1e-4},
            training=training,
        )
        negatives = settings.training.negatives.model_copy(update={"block_users": 100})
        training_ = settings.training.model_copy(update={"negatives": negatives})
        settings = settings.model_copy(update={"training": training_})
        model = build_model(settings.model, data, seed=settings.training.seed)
        built, _ = make_engine(model, data, settings)
        assert built.name == "listwise"
        return built

    return make


def _weights(engine: Engine) -> dict[str, np.ndarray]:
    return parameters_as_arrays(engine.model)


def _assert_same(one: Engine, other: Engine) -> None:
    for name, value in _weights(one).items():
        np.testing.assert_array_equal(value, _weights(other)[name], err_msg=name)


@all_cases
def test_the_loss_falls(synthetic, build, rule, lr, loss, negatives, features):
    made = build(synthetic(features), rule, lr, loss_function=loss, negatives=negatives)
    losses = [made.train_epoch(lr) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.99 * losses[0]


@all_cases
def test_goes_on_exactly_where_it_was_saved(synthetic, build, rule, lr, loss, negatives, features):
    data = synthetic(features)
    whole, first, second = (
        build(data, rule, lr, loss_function=loss, negatives=negatives, seed=seed)
        for seed in (3, 3, 4)
    )
    expected = [whole.train_epoch(lr) for _ in range(4)]
    losses = [first.train_epoch(lr) for _ in range(2)]
    second.train_epoch(lr)  # whatever it did before is forgotten
    state, weights = first.state(), _weights(first)
    first.train_epoch(lr)  # the state is a copy
    load_arrays(second.model, weights)
    second.load_state(state)
    losses += [second.train_epoch(lr) for _ in range(2)]
    assert losses == expected
    _assert_same(second, whole)


@pytest.mark.parametrize("loss", ["softmax_loss", "bpr_loss"])
@pytest.mark.parametrize("negatives", NEGATIVES, ids=["all", "masked", "shared", "uniform"])
@pytest.mark.parametrize("features", ["identity", "both"])
def test_finds_the_missing_item(checkerboard_of, build, loss, negatives, features):
    """Two camps of users: the item that a user misses of the own camp's must come first."""
    board = checkerboard_of(features)
    made = build(board.data, "adam", 0.02, loss_function=loss, negatives=negatives)
    for _ in range(60):
        made.train_epoch(0.02)
    assert board.hits(made.model) == 1.0


def test_an_item_that_training_must_not_meet_stays(data_of, build):
    train = [(u, i) for u in range(30) for i in range(8) if (u + i) % 3 == 0]
    data = data_of(30, 10, train)
    trainable = np.ones(10, bool)
    trainable[[4, 9]] = False
    keep = trainable[data.train.items]
    data = dataclasses.replace(data, train=data.train.select(keep), trainable_items=trainable)
    for negatives in NEGATIVES[::2]:
        made = build(data, "adam", 0.05, loss_function="softmax_loss", negatives=negatives)
        made.train_epoch(0.05)
        assert (made.model.item_vectors()[~trainable] == 0).all()
        assert (made.model.item_vectors()[trainable] != 0).any(1).all()
        assert (made.model.item_biases()[~trainable] == 0).all()


def test_a_user_without_positives_is_scored_by_the_biases(data_of, build):
    data = data_of(4, 6, [(0, 1), (1, 2), (2, 1), (2, 3)])
    made = build(data, "adam", 0.05, loss_function="softmax_loss", negatives={"kind": "all"})
    made.train_epoch(0.05)
    scores = made.model.block_scorer()(np.array([3]))
    np.testing.assert_array_equal(scores[0], made.model.item_biases())


def test_a_user_who_knows_every_item_teaches_nothing(data_of, build):
    data = data_of(2, 3, [(0, 0), (0, 1), (0, 2)])
    for negatives in ({"kind": "all"}, {"kind": "all", "mask_positives": True}):
        made = build(data, "adam", 0.05, loss_function="softmax_loss", negatives=negatives)
        before = _weights(made)
        assert made.train_epoch(0.05) == 0.0
        for name, value in _weights(made).items():
            np.testing.assert_array_equal(value, before[name])


class TestSample:
    @pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
    def test_sums_over_it_are_right_on_average(self, synthetic, alpha):
        cumulated = np.cumsum(chances(synthetic(), alpha))
        rng = np.random.default_rng(0)
        settings = SharedNegatives(n_items=20, alpha=alpha)
        values = rng.random(len(cumulated))
        sums = []
        for _ in range(4000):
            drawn, counts = draw(rng, cumulated, settings)
            assert (np.diff(drawn) > 0).all()
            sums.append(counts @ values[drawn])
        error = np.std(sums) / np.sqrt(len(sums))
        assert np.mean(sums) == pytest.approx(values.sum(), abs=5 * error)

    def test_more_items_than_there_are_is_every_item_once(self, synthetic):
        cumulated = np.cumsum(chances(synthetic(), 1.0))
        drawn, counts = draw(np.random.default_rng(0), cumulated, SharedNegatives(n_items=10_000))
        assert (drawn == np.arange(len(cumulated))).all()
        assert (counts == 1.0).all()


class TestChoice:
    """Which negatives and which engine the settings lead to."""

    def _made(self, settings, data):
        return make_engine(build_model(settings.model, data), data, settings)

    @pytest.mark.parametrize(
        ("values", "kind", "engine"),
        [
            ({"training.loss_function": "softmax_loss"}, "all", "listwise"),
            ({"training.loss_function": "bpr_loss"}, "mixed", "fused"),
            ({"training.loss_function": "hinge_loss"}, "mixed", "fused"),
            (
                {"training.loss_function": "softmax_loss", "model.kind": "neumf"},
                "mixed",
                "autograd",
            ),
            (
                {"training.loss_function": "softmax_loss", "training.engine": "fused"},
                "mixed",
                "fused",
            ),
            (
                {"training.loss_function": "softmax_loss", "optimizer.name": "adamw"},
                "mixed",
                "autograd",
            ),
        ],
    )
    def test_auto(self, synthetic, settings_of, values, kind, engine):
        auto = settings_of(training={"negatives": {"kind": "auto"}})
        settings, data = with_values(auto, values), synthetic()
        assert negatives_for(build_model(settings.model, data), data, settings).kind == kind
        built, reason = self._made(settings, data)
        assert built.name == engine
        assert reason.endswith(f"; training.negatives.kind auto: {kind}")

    def test_auto_without_observed_negatives(self, data_of, settings_of):
        data = data_of(3, 4, [(0, 1), (1, 2)])
        auto = settings_of(training={"negatives": {"kind": "auto", "per_positive": 3}})
        found = negatives_for(build_model(auto.model, data), data, auto)
        assert (found.kind, found.per_positive) == ("uniform", 3)

    def test_auto_shares_a_sample_where_every_item_is_too_much(
        self, synthetic, settings_of, monkeypatch
    ):
        monkeypatch.setattr("hbpr.training.engines.memory_mib", lambda *_: 1e6)
        auto = settings_of(
            training={"loss_function": "softmax_loss", "negatives": {"kind": "auto"}}
        )
        data = synthetic()
        assert negatives_for(build_model(auto.model, data), data, auto).kind == "shared"

    @pytest.mark.parametrize(
        ("unseen", "together", "weight", "as_positive"),
        [(False, True, 3.0, 0.0), (True, True, 1.0, 0.2), (False, False, 3.0, 0.0)],
    )
    def test_auto_measures_the_data(
        self, data_of, settings_of, unseen, together, weight, as_positive
    ):
        """Thirty users who like one item of three, or each the own one alone."""
        pairs = [(user, user % 3 if together else user) for user in range(30)]
        data = dataclasses.replace(data_of(30, 40, pairs), unseen=unseen)
        auto = settings_of(
            training={"loss_function": "softmax_loss", "negatives": {"kind": "auto"}}
        )
        found = negatives_for(build_model(auto.model, data), data, auto)
        assert found.observed_weight == weight
        assert found.observed_as_positive == as_positive
        assert found.mask_positives is not together
        assert (found.top_weight, found.block_users) == (20, 32)

    def test_cosine_with_drawn_negatives_is_for_autograd(self, synthetic, settings_of):
        settings = settings_of(
            model={"similarity": "cosine"}, training={"loss_function": "hinge_loss"}
        )
        built, reason = self._made(settings, synthetic())
        assert built.name == "autograd"
        assert "model.similarity is cosine" in reason

    @pytest.mark.parametrize(
        ("training", "optimizer", "words"),
        [
            (
                {"loss_function": "hinge_loss"},
                {},
                "hinge_loss is not for blocks; bpr_loss and",
            ),
            ({"loss_function": "softmax_loss"}, {"name": "rmsprop"}, "optimizer.name rmsprop"),
            (
                {"loss_function": "softmax_loss", "engine": "fused"},
                {},
                "set training.engine to auto",
            ),
            (
                {"loss_function": "softmax_loss", "precision": "bfloat16"},
                {},
                "precision is bfloat16",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, synthetic, settings_of, training, optimizer, words):
        settings = settings_of(
            optimizer=optimizer, training={"negatives": {"kind": "all"}} | training
        )
        with pytest.raises(EngineError, match=words):
            self._made(settings, synthetic())

    def test_listwise_needs_negatives_of_a_block(self, synthetic, settings_of):
        settings = settings_of(training={"engine": "listwise", "loss_function": "softmax_loss"})
        with pytest.raises(EngineError, match="uniform draws for each positive; all and shared"):
            self._made(settings, synthetic())

    def test_too_many_items_name_the_sample(self, data_of, settings_of):
        negatives = {"kind": "all", "block_mib": 1}
        settings = settings_of(training={"loss_function": "softmax_loss", "negatives": negatives})
        data = data_of(2, 10_000, [(0, 1)])
        with pytest.raises(ConfigError, match=r"10,000 items.*block_mib allows 1; use kind shared"):
            self._made(settings, data)


def test_a_trainer_goes_on_with_more_data(synthetic, settings_of):
    settings = settings_of(
        model={"similarity": "cosine"},
        optimizer={"name": "adam"},
        training={
            "loss_function": "softmax_loss",
            "negatives": {"kind": "auto"},
            "growth": {"share": 0.5, "epochs": 2, "factor": 2.0},
        },
    )
    reports = list(Trainer(synthetic(), settings))
    assert [report.data_share for report in reports][::2] == [0.5, 1.0, 1.0]
    assert torch.get_num_threads() == 1
