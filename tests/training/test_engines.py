"""What both engines must do for every loss and optimizer they cover."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError, EngineError
from hbpr.models import build_model
from hbpr.models.base import load_arrays, parameters_as_arrays
from hbpr.settings.models import TrialSettings
from hbpr.training.engine import Engine
from hbpr.training.engines import make_engine
from hbpr.training.fused import copies
from hbpr.training.losses import LOSSES as KINDS

LOSSES = [name for name, loss in KINDS.items() if loss.gradient is not None]
#: Engine, optimizer and a learning rate that suits it.
RULES = [
    ("fused", "sgd", 0.05),
    ("fused", "adagrad", 0.1),
    ("autograd", "sgd", 0.02),
    ("autograd", "adagrad", 0.1),
    ("autograd", "adam", 0.02),
    ("autograd", "adamw", 0.02),
    ("autograd", "rmsprop", 0.01),
]
both_features = pytest.mark.parametrize("features", ["indicator", "both"])
all_rules = pytest.mark.parametrize(("engine", "rule", "lr"), RULES, ids=lambda v: str(v))
all_losses = pytest.mark.parametrize("loss", LOSSES)

SettingsOf = Callable[..., TrialSettings]
DataOf = Callable[..., Interactions]


@pytest.fixture(scope="module")
def build(settings_of: SettingsOf) -> Callable[..., Engine]:
    def make(
        data: Interactions,
        engine: str,
        rule: str,
        lr: float,
        *,
        model: dict[str, Any] | None = None,
        optimizer: dict[str, Any] | None = None,
        threads: int = 1,
        **training: Any,
    ) -> Engine:
        settings = settings_of(
            model=model or {},
            optimizer={"name": rule, "lr": lr} | (optimizer or {}),
            training={"engine": engine} | training,
        )
        weights = build_model(settings.model, data, seed=settings.training.seed)
        built, _ = make_engine(weights, data, settings, threads=threads)
        assert built.name == engine
        return built

    return make


def _suited(rule: str, lr: float, loss: str) -> float:
    """WARP's weights multiply a step by up to five, and plain SGD does not scale them back."""
    return lr / 4 if rule == "sgd" and loss == "warp_loss" else lr


def _weights(engine: Engine) -> dict[str, np.ndarray]:
    return parameters_as_arrays(engine.model)


def _assert_same(a: Engine, b: Engine) -> None:
    for name, value in _weights(a).items():
        np.testing.assert_array_equal(value, _weights(b)[name], err_msg=name)


@all_losses
@all_rules
@both_features
class TestContract:
    def test_the_loss_falls(self, synthetic, build, features, engine, rule, lr, loss) -> None:
        lr = _suited(rule, lr, loss)
        trained = build(
            synthetic(features), engine, rule, lr, loss_function=loss, negatives={"per_positive": 2}
        )
        losses = [trained.train_epoch(lr) for _ in range(8)]
        assert np.isfinite(losses).all()
        assert losses[-1] < 0.97 * losses[0]

    def test_same_seed_same_weights(
        self, synthetic, build, features, engine, rule, lr, loss
    ) -> None:
        data = synthetic(features)
        made = partial(build, data, engine, rule, lr, loss_function=loss, batch_size=1024)
        one, two, other = (made(seed=seed) for seed in (7, 7, 8))
        load_arrays(other.model, _weights(one))  # only the draws differ
        losses = [(one.train_epoch(lr), two.train_epoch(lr), other.train_epoch(lr)) for _ in "ab"]
        assert all(a == b for a, b, _ in losses)
        _assert_same(one, two)
        assert losses[0][2] != losses[0][0]

    def test_goes_on_exactly_where_it_was_saved(
        self, synthetic, build, features, engine, rule, lr, loss
    ) -> None:
        data = synthetic(features)
        made = partial(build, data, engine, rule, lr, loss_function=loss, batch_size=1024)
        whole, first, second = (made(seed=seed) for seed in (3, 3, 4))
        expected = [whole.train_epoch(lr) for _ in range(4)]
        losses = [first.train_epoch(lr) for _ in range(2)]
        second.train_epoch(lr)  # whatever it did before is forgotten
        state = first.state()
        weights = {name: value.copy() for name, value in _weights(first).items()}
        first.train_epoch(lr)  # the state is a copy
        load_arrays(first.model, {k: v * 0 for k, v in _weights(first).items()})
        load_arrays(second.model, weights)
        second.load_state(state)
        losses += [second.train_epoch(lr) for _ in range(2)]
        assert losses == expected
        _assert_same(second, whole)


@pytest.mark.parametrize("n_users", [60, 120, 230, 350, 500, 650])
@pytest.mark.parametrize("n_epochs", [1, 2, 3])
def test_a_saved_random_state_is_whole(data_of, build, n_users: int, n_epochs: int) -> None:
    """However many blocks were shuffled before: a shuffle may leave half a random word over."""
    data = data_of(n_users, 10, [(u, u % 10) for u in range(n_users)])
    one, two = (build(data, "fused", "sgd", 0.1) for _ in "ab")
    for _ in range(n_epochs):
        one.train_epoch(0.1)
    load_arrays(two.model, _weights(one))
    two.load_state(one.state())
    for _ in range(3):
        assert one.train_epoch(0.1) == two.train_epoch(0.1)
    _assert_same(one, two)


class TestKnownAnswer:
    """Two camps of users: the item that a user misses of the own camp's must come first."""

    @all_losses
    @all_rules
    @both_features
    def test_finds_the_missing_item(
        self, checkerboard_of, build, features, engine, rule, lr, loss
    ) -> None:
        board = checkerboard_of("both" if features == "both" else "identity")
        lr = _suited(rule, lr, loss)
        trained = build(
            board.data,
            engine,
            rule,
            lr,
            model={"n_latent": 2},  # more, and WARP learns that the missing item is missing
            loss_function=loss,
            batch_size=128,
        )
        for _ in range(14):
            trained.train_epoch(lr)
        assert board.hits(trained.model) > 0.9

    @pytest.mark.parametrize("engine", ["fused", "autograd"])
    @pytest.mark.parametrize(
        "negatives",
        [
            {"kind": "observed"},
            {"kind": "mixed", "observed": 0.5},
            {"kind": "popularity"},
            {"kind": "adaptive", "adaptive_share": 0.5},
            {"hardest_of": 3},
            {"per_positive": 4},
            {"per_positive": 3, "hardest_of": 2, "kind": "mixed"},
        ],
        ids=str,
    )
    def test_with_every_kind_of_negatives(self, checkerboard_of, build, engine, negatives) -> None:
        board = checkerboard_of()
        trained = build(board.data, engine, "adagrad", 0.1, negatives=negatives, batch_size=128)
        for _ in range(15):
            trained.train_epoch(0.1)
        assert board.hits(trained.model) > 0.95

    @pytest.mark.parametrize("engine", ["fused", "autograd"])
    def test_without_bias(self, checkerboard_of, build, engine) -> None:
        board = checkerboard_of()
        trained = build(board.data, engine, "adagrad", 0.1, model={"item_bias": False})
        for _ in range(25):
            trained.train_epoch(0.1)
        assert board.hits(trained.model) > 0.95
        assert not trained.model.b.any()


@all_losses
@pytest.mark.parametrize("item_bias", [True, False], ids=["bias", "no bias"])
class TestOneStepIsTheSameInBothEngines:
    """One positive and one other item leave nothing to chance; regularisation included."""

    @pytest.mark.parametrize(
        ("features", "rule"),
        [("identity", "sgd"), ("both", "sgd"), ("identity", "adagrad"), ("both", "adagrad")],
    )
    def test_with_one_negative(self, data_of, build, loss, item_bias, features, rule) -> None:
        before, moved = self._step(data_of, build, loss, item_bias, features, rule, n=1, lr=0.1)
        for name in before:
            np.testing.assert_allclose(*(m[name] for m in moved), atol=1e-5, err_msg=name)

    @pytest.mark.parametrize("features", ["identity", "both"])
    def test_with_three(self, data_of, build, loss, item_bias, features) -> None:
        """The negatives are one item three times, whose steps follow each other: as lr goes to 0,
        that is their sum."""
        lr = 1e-3
        before, moved = self._step(data_of, build, loss, item_bias, features, "sgd", n=3, lr=lr)
        for name in before:
            np.testing.assert_allclose(
                *((m[name] - before[name]) / lr for m in moved), atol=0.02, err_msg=name
            )

    def _step(self, data_of, build, loss, item_bias, features, rule, n, lr):
        """Weights before, and after one step by each engine."""
        data = data_of(2, 2, [(1, 0)], features=features)
        engines = [
            build(
                data,
                engine,
                rule,
                lr,
                model={"item_bias": item_bias, "init_std": 0.7},
                optimizer={
                    "reg_user": 0.3,
                    "reg_positive": 0.2,
                    "reg_negative": 0.4,
                    "reg_bias": 0.5,
                },
                batch_size=1,
                loss_function=loss,
                negatives={"per_positive": n, "warp_draws": 3},
            )
            for engine in ("fused", "autograd")
        ]
        bias = torch.tensor([0.2, -0.1, 0.3, 0.4, -0.2])
        for engine in engines:
            if item_bias:
                with torch.no_grad():
                    engine.model.b.copy_(bias[: len(engine.model.b)])
        before = _weights(engines[0])
        losses = [engine.train_epoch(lr) for engine in engines]
        assert losses[0] > 0.01
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        moved = [_weights(engine) for engine in engines]
        assert (moved[0]["U"][1] != before["U"][1]).all()
        assert (moved[0]["V"] != before["V"]).any(1).all()
        assert (moved[0]["b"] != before["b"]).any() == item_bias
        return before, moved


@pytest.mark.parametrize("kind", ["mf", "neumf"])
def test_half_precision_learns_as_well(checkerboard_of, build, kind: str) -> None:
    board = checkerboard_of("identity")
    model = {"n_latent": 2} if kind == "mf" else {"kind": "neumf", "n_latent": 4}
    hits = {}
    for precision in ("float32", "bfloat16"):
        trained = build(
            board.data, "autograd", "adam", 0.02, model=model, precision=precision, batch_size=128
        )
        for _ in range(30):
            trained.train_epoch(0.02)
        hits[precision] = board.hits(trained.model)
    assert hits["bfloat16"] > max(0.9, hits["float32"] - 0.05)
    assert {p.dtype for p in trained.model.parameters()} == {torch.float32}


@both_features
@pytest.mark.parametrize("engine", ["fused", "autograd"])
class TestOddUsers:
    def test_users_who_know_everything_teach_nothing(self, data_of, build, features, engine):
        """Neither their vector nor anything else moves for them."""
        everything = [(0, i) for i in range(4)] + [(2, i) for i in range(4)]
        data = data_of(3, 4, [*everything, (1, 2)])
        trained = build(data, engine, "sgd", 0.1)
        before = _weights(trained)["U"]
        losses = [trained.train_epoch(0.1) for _ in range(3)]
        after = _weights(trained)["U"]
        assert np.isfinite(losses).all()
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
        assert (after[1] != before[1]).any()

    def test_nobody_has_anything_to_learn(self, data_of, build, features, engine) -> None:
        data = data_of(2, 2, [(0, 0), (0, 1), (1, 0), (1, 1)])
        trained = build(data, engine, "sgd", 0.1)
        before = _weights(trained)
        assert trained.train_epoch(0.1) == 0.0
        for name, value in _weights(trained).items():
            np.testing.assert_array_equal(value, before[name])

    def test_users_without_positives_stay_where_they_are(
        self, data_of, build, features, engine
    ) -> None:
        """Also at the start, in whole blocks of their own, and at the end."""
        data = data_of(420, 5, [(1, 0), (1, 1), (210, 3), (210, 4)])
        trained = build(data, engine, "adagrad", 0.1)
        before = _weights(trained)["U"]
        for _ in range(2):
            assert np.isfinite(trained.train_epoch(0.1))
        moved = (_weights(trained)["U"] != before).any(1)
        assert set(np.flatnonzero(moved)) == {1, 210}

    def test_a_user_who_knows_all_but_one_item(self, data_of, build, features, engine) -> None:
        data = data_of(
            1, 70, [(0, i) for i in range(70) if i != 66],
            features="both" if features == "both" else "identity",
        )  # fmt: skip
        trained = build(data, engine, "adagrad", 0.1)
        for _ in range(10):
            trained.train_epoch(0.1)
        scores = trained.model.block_scorer()(np.array([0]))[0]
        assert scores.argmin() == 66


@pytest.mark.parametrize("engine", ["fused", "autograd"])
def test_the_mean_loss_is_over_the_positives_that_teach(data_of, build, engine: str) -> None:
    """Hinge at weights near zero costs 1 a positive, whoever knows the whole catalogue."""
    data = data_of(2, 9, [(0, i) for i in range(9)] + [(1, 2), (1, 3), (1, 4)])
    trained = build(data, engine, "sgd", 1e-9, model={"init_std": 1e-6}, loss_function="hinge_loss")
    assert trained.train_epoch(1e-9) == pytest.approx(1.0, rel=1e-4)


@both_features
@pytest.mark.parametrize("rule", ["sgd", "adagrad"])
class TestTwoThreads:
    @pytest.fixture
    def board_of(self, checkerboard_of, monkeypatch, features: str) -> Callable[[int], Any]:
        """A board of so many users, small for two threads."""
        monkeypatch.setattr(copies, "_POSITIVES_PER_ROW", 2)
        return partial(checkerboard_of, "both" if features == "both" else "identity")

    def test_learn_as_one_does(self, board_of, build, rule: str) -> None:
        board = board_of(450)
        lr = 0.05 if rule == "sgd" else 0.1
        final = []
        for threads in (1, 2):
            trained = build(board.data, "fused", rule, lr, threads=threads)
            losses = [trained.train_epoch(lr) for _ in range(12)]
            assert board.hits(trained.model) > 0.95
            final.append(losses[-1])
        assert final[1] == pytest.approx(final[0], rel=0.15)

    def test_repeat_bit_for_bit(self, board_of, build, rule: str) -> None:
        board = board_of(2000)
        found = []
        for _ in range(2):
            trained = build(board.data, "fused", rule, 0.05, threads=2)
            assert trained.n_threads == 2
            losses = [trained.train_epoch(0.05) for _ in range(3)]
            weights = [p.detach().numpy().copy() for p in trained.model.parameters()]
            found.append((losses, *weights))
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_little_data_is_trained_by_one_thread(data_of, build) -> None:
    assert build(data_of(50, 500, [(0, 1), (9, 3)]), "fused", "sgd", 0.1, threads=2).n_threads == 1


def test_more_threads_than_blocks(data_of, build) -> None:
    trained = build(data_of(3, 5, [(0, 1), (2, 3)]), "fused", "sgd", 0.1, threads=8)
    assert np.isfinite(trained.train_epoch(0.1))


def test_threads_share_blocks_without_positives(data_of, build) -> None:
    trained = build(data_of(1000, 5, [(999, 1)]), "fused", "sgd", 0.1, threads=4)
    assert trained.train_epoch(0.1) == pytest.approx(np.log(2), rel=0.1)


class TestRegularisation:
    @pytest.mark.parametrize("engine", ["fused", "autograd"])
    @pytest.mark.parametrize(
        ("key", "name"), [("reg_user", "U"), ("reg_positive", "V"), ("reg_bias", "b")]
    )
    def test_each_holds_its_own_weights_down(
        self, synthetic, build, engine: str, key: str, name: str
    ) -> None:
        none = {"reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0, "reg_bias": 0.0}
        sizes = []
        for strength in (0.0, 0.5):
            trained = build(synthetic(), engine, "adagrad", 0.1, optimizer=none | {key: strength})
            for _ in range(5):
                trained.train_epoch(0.1)
            sizes.append(np.linalg.norm(_weights(trained)[name]))
        assert sizes[1] < 0.8 * sizes[0]


class TestChoice:
    def test_auto_takes_the_fused_engine_and_says_why(self, synthetic, settings_of) -> None:
        settings = settings_of()
        model = build_model(settings.model, synthetic())
        engine, reason = make_engine(model, synthetic(), settings)
        assert (engine.name, reason) == ("fused", "the fastest that covers the settings")

    def test_auto_takes_autograd_where_fused_does_not_fit(self, synthetic, settings_of) -> None:
        settings = settings_of(optimizer={"name": "adam"})
        model = build_model(settings.model, synthetic())
        engine, reason = make_engine(model, synthetic(), settings)
        assert engine.name == "autograd"
        assert "adam" in reason

    @pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
    def test_fused_is_refused_by_name(self, synthetic, settings_of, name: str) -> None:
        settings = settings_of(optimizer={"name": name}, training={"engine": "fused"})
        model = build_model(settings.model, synthetic())
        with pytest.raises(EngineError, match=rf"fused does not cover .*optimizer.name {name} "):
            make_engine(model, synthetic(), settings)

    def test_half_precision_is_for_autograd(self, synthetic, settings_of) -> None:
        for asked in ("auto", "fused"):
            settings = settings_of(training={"engine": asked, "precision": "bfloat16"})
            model = build_model(settings.model, synthetic())
            if asked == "fused":
                with pytest.raises(EngineError, match=r"training\.precision is bfloat16"):
                    make_engine(model, synthetic(), settings)
            else:
                engine, reason = make_engine(model, synthetic(), settings)
                assert engine.name == "autograd"
                assert "bfloat16" in reason

    def test_what_was_asked_for_runs(self, synthetic, settings_of) -> None:
        for asked in ("fused", "autograd"):
            settings = settings_of(training={"engine": asked})
            model = build_model(settings.model, synthetic())
            engine, reason = make_engine(model, synthetic(), settings)
            assert (engine.name, reason) == (asked, "it was asked for")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
    def test_a_gpu_that_is_not_there(self, synthetic, settings_of) -> None:
        settings = settings_of(training={"device": "cuda"})
        model = build_model(settings.model, synthetic())
        with pytest.raises(ConfigError, match=r"training.device: .*cuda"):
            make_engine(model, synthetic(), settings)
