"""Positives with weights are visited in proportion to them, an epoch stays as long as it was."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data.interactions import Interactions, UserItems
from hbpr.models import build_model
from hbpr.training.engines import make_engine
from hbpr.training.visits import visits


@given(
    weights=st.lists(st.floats(2**-10, 1000, width=32), min_size=1, max_size=30),
    seed=st.integers(0, 2**31),
)
def test_each_is_visited_as_often_as_it_weighs_but_for_the_rounding(
    weights: list[float], seed: int
) -> None:
    given = np.array(weights, np.float32)
    draws = np.random.default_rng(seed).random(len(given))
    share = given / given.mean(dtype=np.float64)
    copies = visits(given, draws)
    assert copies.dtype == np.int32
    assert (np.abs(copies - share) < 1 + 1e-6).all()
    assert (copies <= np.ceil(share)).all()  # what the compiled loops leave room for


def test_over_the_epochs_rounding_evens_out() -> None:
    weights = np.array([0.1, 1.0, 2.5, 0.4], np.float32)
    rng = np.random.default_rng(0)
    mean = np.mean([visits(weights, rng.random(4)) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, weights, atol=0.05)


def _weighted(data: Interactions, heavy_item: int, weight: float) -> Interactions:
    train = data.train
    weights = np.where(train.items == heavy_item, np.float32(weight), np.float32(1.0))
    return dataclasses.replace(
        data, train=UserItems(train.indptr, train.items, train.n_items, weights)
    )


@pytest.mark.parametrize("engine", ["fused", "autograd"])
class TestEngines:
    @pytest.fixture
    def build(self, settings_of, engine: str):
        def make(data: Interactions, **training):
            settings = settings_of(
                optimizer={"name": "sgd", "lr": 0.05}, training={"engine": engine} | training
            )
            model = build_model(settings.model, data)
            return make_engine(model, data, settings)[0]

        return make

    def test_a_heavy_item_is_learned_above_its_likes(self, data_of, build) -> None:
        """Four items that everybody has, one of them heavy: its bias rises highest."""
        data = data_of(120, 12, [(u, i) for u in range(120) for i in range(4)])
        trained = build(_weighted(data, 2, 10.0))
        for _ in range(3):
            trained.train_epoch(0.02)
        bias = trained.model.b.detach().numpy()
        assert bias[2] > 1.5 * bias[[0, 1, 3]].max() > 0

    def test_equal_weights_change_no_result(self, data_of, build) -> None:
        data = data_of(120, 12, [(u, (u + k) % 12) for u in range(120) for k in range(3)])
        losses = [
            [trained.train_epoch(0.05) for _ in range(5)][-1]
            for trained in (build(data), build(_weighted(data, 0, 1.0)))
        ]
        assert losses[1] == pytest.approx(losses[0], rel=0.02)

    def test_the_loss_is_a_mean_over_visits(self, data_of, build) -> None:
        data = data_of(120, 12, [(u, i) for u in range(120) for i in range(4)])
        trained = build(_weighted(data, 2, 50.0), loss_function="hinge_loss")
        assert trained.train_epoch(1e-9) == pytest.approx(1.0, rel=0.05)

    def test_goes_on_exactly_where_it_was_saved(self, data_of, build) -> None:
        data = data_of(230, 12, [(u, (u + k) % 12) for u in range(230) for k in range(3)])
        weighted = _weighted(data, 3, 2.7)
        one, two = build(weighted), build(weighted)
        one.train_epoch(0.05)
        two.model.load_state_dict(one.model.state_dict())
        two.load_state(one.state())
        assert one.train_epoch(0.05) == two.train_epoch(0.05)
