"""Small datasets whose answer is known, and settings to train on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from hbpr.data import load_data
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings


def make_data(
    n_users: int,
    n_items: int,
    train: list[tuple[int, int]],
    *,
    validation: list[tuple[int, int]] = (),  # type: ignore[assignment]
    negatives: list[tuple[int, int]] = (),  # type: ignore[assignment]
    features: str = "identity",
) -> Interactions:
    """Interactions from (user, item) pairs; `both` adds three weighted features to indicators."""

    def part(pairs: list[tuple[int, int]]) -> UserItems:
        users, items = np.array(pairs, np.int64).reshape(-1, 2).T
        return UserItems.from_pairs(users, items, n_users=n_users, n_items=n_items)

    def describe(n_rows: int, seed: int) -> Features:
        if features == "identity":
            return Features.identity(n_rows)
        rng = np.random.default_rng(seed)
        own = rng.uniform(0.5, 1.5, (n_rows, 3)) * (rng.random((n_rows, 3)) < 0.6)
        return Features.from_csr(sp.hstack([sp.identity(n_rows), sp.csr_matrix(own)]))

    nothing = UserItems.empty(n_users, n_items)
    return Interactions(
        name="made",
        train=part(train),
        validation=part(validation),
        test=nothing,
        train_negatives=part(negatives),
        validation_negatives=nothing,
        test_negatives=nothing,
        user_features=describe(n_users, 1),
        item_features=describe(n_items, 2),
        user_ids=np.arange(n_users),
        item_ids=np.arange(n_items),
    )


@dataclass(frozen=True)
class Checkerboard:
    """Two camps that like the even or the odd items; each user misses one of the own camp's."""

    data: Interactions
    missing: np.ndarray

    def hits(self, model: Any) -> float:
        """Share of users whose missing item leads the items they do not know."""
        scores = model.block_scorer()(np.arange(self.data.n_users))
        scores[self.data.train.to_csr().toarray() > 0] = -np.inf
        return float((scores.argmax(1) == self.missing).mean())


def make_checkerboard(features: str = "identity", n_users: int = 120) -> Checkerboard:
    n_items = 20
    rng = np.random.default_rng(5)
    missing = 2 * rng.integers(0, n_items // 2, n_users) + np.arange(n_users) % 2
    train = [
        (u, i) for u in range(n_users) for i in range(n_items) if u % 2 == i % 2 and i != missing[u]
    ]
    negatives = [(u, i) for u in range(n_users) for i in range(n_items) if u % 2 != i % 2]
    data = make_data(
        n_users,
        n_items,
        train,
        validation=list(enumerate(missing)),
        negatives=negatives,
        features=features,
    )
    return Checkerboard(data, missing)


def make_settings(**sections: Any) -> TrialSettings:
    """Settings that train in no time; keyword arguments are laid over the sections."""
    settings: dict[str, dict[str, Any]] = {
        "model": {"n_latent": 8},
        "optimizer": {"name": "adagrad", "lr": 0.1},
        "training": {"n_iter": 6, "eval_every": 2, "device": "cpu", "batch_size": 256},
    }
    for name, section in sections.items():
        settings[name] = settings.get(name, {}) | section
    return TrialSettings.model_validate(settings)


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in torch are the same bit for bit, and small ones wait for no second core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", name="data_of")
def _data_of() -> Callable[..., Interactions]:
    return make_data


@pytest.fixture(scope="session", name="settings_of")
def _settings_of() -> Callable[..., TrialSettings]:
    return make_settings


@pytest.fixture(scope="session", name="checkerboard_of")
def _checkerboard_of() -> Callable[..., Checkerboard]:
    return make_checkerboard


@pytest.fixture(scope="session", name="synthetic")
def _synthetic() -> Callable[[str], Interactions]:
    """Generated data by its features, `indicator` or `both`: 230 users, so three blocks."""
    made: dict[str, Interactions] = {}

    def get(features: str = "indicator") -> Interactions:
        if features not in made:
            made[features] = load_data(
                DataSettings(
                    source="synthetic",
                    item_feature=features,  # type: ignore[arg-type]
                    user_feature=features,  # type: ignore[arg-type]
                    synthetic=SyntheticSettings(n_users=230, n_items=60, n_shown=30),
                )
            )
        return made[features]

    return get
