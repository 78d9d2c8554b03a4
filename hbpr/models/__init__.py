"""Models: from users and items to scores."""

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError
from hbpr.models.base import Recommender
from hbpr.models.factorization import MatrixFactorization
from hbpr.models.neumf import NeuMF
from hbpr.settings.models import MfSettings, ModelSettings, NeuMFSettings

__all__ = ["MatrixFactorization", "NeuMF", "Recommender", "build_model"]


def build_model(settings: ModelSettings, data: Interactions, *, seed: int = 0) -> Recommender:
    """Build the model that the settings name, with its first weights, for a dataset.

    Raises:
        ConfigError: The kind has settings, and no model here.
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
    return MatrixFactorization(
        data.user_features,
        data.item_features,
        n_latent=settings.n_latent,
        item_bias=settings.item_bias,
        init_std=settings.init_std,
        seed=seed,
    )
