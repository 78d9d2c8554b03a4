"""Models: from users and items to scores."""

import torch

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError
from hbpr.models.base import Recommender
from hbpr.models.factorization import MatrixFactorization
from hbpr.models.neumf import NeuMF
from hbpr.models.similarity import check_directions, temperature_for, unmet
from hbpr.settings.models import MfSettings, ModelSettings, NeuMFSettings

__all__ = ["MatrixFactorization", "NeuMF", "Recommender", "build_model"]


def build_model(settings: ModelSettings, data: Interactions, *, seed: int = 0) -> Recommender:
    """Build the model that the settings name, with its first weights, for a dataset.

    Raises:
        ConfigError: The kind has settings, and no model here.
        DataError: Cosines are asked for, and a user or an item has no feature.
    """
    if isinstance(settings, NeuMFSettings):
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
    if not isinstance(settings, MfSettings):
        raise ConfigError(f"model.kind: there is no model of kind {settings.kind}; use mf or neumf")
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
