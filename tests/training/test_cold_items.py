"""Items held out as a whole are never met in training, not as a negative either."""

import dataclasses

import numpy as np
import pytest
import torch

from hbpr.data import generate
from hbpr.data.interactions import Interactions, UserItems
from hbpr.models import build_model
from hbpr.settings.models import SplitSettings, SyntheticSettings, TrialSettings, UniformNegatives
from hbpr.training.engines import make_engine
from hbpr.training.fused.pools import make_pools, positions_of
from hbpr.training.negatives import NegativeSampler

KINDS = ["uniform", "popularity", "observed", "mixed", "adaptive"]


@pytest.fixture(scope="module")
def cold() -> Interactions:
    data = generate(SyntheticSettings(n_users=60, n_items=40, n_shown=20)).data
    return data.to_interactions(SplitSettings(kind="cold_items", train=0.6, validation=0.2))


@pytest.mark.parametrize("engine", ["fused", "autograd"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_leaves_the_vectors_of_cold_items_alone(
    cold: Interactions, engine: str, kind: str
) -> None:
    settings = TrialSettings.model_validate(
        {"training": {"engine": engine, "negatives": {"kind": kind, "hardest_of": 3}}}
    )
    model = build_model(settings.model, cold)
    before = model.item_vectors().copy()
    trained, _ = make_engine(model, cold, settings)
    for _ in range(3):
        trained.train_epoch(0.05)
    moved = (model.item_vectors() != before).any(1)
    assert cold.trainable_items is not None
    assert not moved[~cold.trainable_items].any()
    assert moved[cold.trainable_items].any()


def test_a_user_who_knows_all_items_but_one_that_training_may_meet_draws_that_one() -> None:
    trainable = np.array([True, False, True, True, False, True])
    positives = UserItems.from_pairs([0, 0, 0], [0, 2, 5], n_users=1, n_items=6)
    sampler = NegativeSampler(
        UniformNegatives(),
        positives,
        UserItems.empty(1, 6),
        torch.device("cpu"),
        trainable=trainable,
    )
    drawn = sampler.draw(torch.zeros(200, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {3}


def test_positives_become_places_among_the_items_that_training_may_meet(
    cold: Interactions,
) -> None:
    pools = make_pools(UniformNegatives(), cold)
    places = positions_of(cold, pools)
    np.testing.assert_array_equal(pools.catalogue[places], cold.train.items)
    everything = dataclasses.replace(cold, trainable_items=None)
    assert positions_of(everything, make_pools(UniformNegatives(), everything)) is cold.train.items
