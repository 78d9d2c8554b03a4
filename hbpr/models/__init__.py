"""Models: from users and items to scores."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import torch

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError
from hbpr.models.base import FeatureRecommender
from hbpr.models.ease import Ease
from hbpr.models.factorization import MatrixFactorization
from hbpr.models.ials import Ials
from hbpr.models.neumf import NeuMF
from hbpr.models.recommender import Recommender
from hbpr.models.similarity import check_directions, temperature_for, unmet
from hbpr.models.solved import SolvedRecommender
from hbpr.settings.models import (
    EaseSettings,
    IalsSettings,
    MfSettings,
    ModelSettings,
    NeuMFSettings,
)
from hbpr.settings.own_model import OwnModelSettings

__all__ = [
    "Ease",
    "FeatureRecommender",
    "Ials",
    "MatrixFactorization",
    "NeuMF",
    "Recommender",
    "SolvedRecommender",
    "build_model",
]


def build_model(settings: ModelSettings, data: Interactions, *, seed: int = 0) -> Recommender:
    """Build the model that the settings name, with its first weights, for a dataset.

    Raises:
        ConfigError: The kind has settings, and no model here.
        DataError: The data are not what the kind can work with, such as too many items for EASE.
    """
    if isinstance(settings, OwnModelSettings):
        own: Recommender = settings.build(data.user_features, data.item_features, seed)
        return own
    build = _BUILDERS.get(type(settings))
    if build is None:
        known = ", ".join(each.model_fields["kind"].default for each in _BUILDERS)
        raise ConfigError(
            f"model.kind: there is no model of kind {settings.kind}; use one of {known}"
        )
    return build(settings, data, seed)


def _neumf(settings: NeuMFSettings, data: Interactions, seed: int) -> NeuMF:
    return NeuMF(
        data.user_features,
        data.item_features,
        n_latent=settings.n_latent,
        n_latent_mlp=settings.n_latent_mlp,
        hidden=settings.hidden,
        dropout=settings.dropout,
        item_bias=settings.item_bias,
        init_std=settings.init_std,
        seed=seed,
    )


def _mf(settings: MfSettings, data: Interactions, seed: int) -> MatrixFactorization:
    cosine = settings.similarity == "cosine"
    if cosine:
        check_directions(data)
    model = MatrixFactorization(
        data.user_features,
        data.item_features,
        n_latent=settings.n_latent,
        item_bias=settings.item_bias,
        init_std=settings.init_std,
        seed=seed,
        similarity=settings.similarity,
        temperature=settings.temperature or (temperature_for(data) if cosine else 1.0),
    )
    if cosine:
        _forget_unmet(model, data)
    return model


def _ease(settings: EaseSettings, data: Interactions, _seed: int) -> Ease:
    return Ease(data.train, **settings.model_dump(exclude={"kind"}))


def _ials(settings: IalsSettings, data: Interactions, seed: int) -> Ials:
    return Ials(data.train, seed=seed, **settings.model_dump(exclude={"kind", "iterations"}))


_BUILDERS: Final[Mapping[type[ModelSettings], Callable[[Any, Interactions, int], Recommender]]] = (
    MappingProxyType(
        {MfSettings: _mf, NeuMFSettings: _neumf, EaseSettings: _ease, IalsSettings: _ials}
    )
)


def _forget_unmet(model: MatrixFactorization, data: Interactions) -> None:
    """Put 0 where nothing is learnt: a random direction would weigh as much as a learnt one.

    A user without any positive is then scored by the biases, a new item by what describes it.
    """
    users = data.train.counts > 0
    items = data.trainable_items
    with torch.no_grad():
        model.U[torch.from_numpy(unmet(data.user_features, users))] = 0.0
        if items is not None:
            model.V[torch.from_numpy(unmet(data.item_features, items))] = 0.0
