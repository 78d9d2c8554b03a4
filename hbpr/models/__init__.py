"""Models: from users and items to scores."""

from hbpr.data.interactions import Interactions
from hbpr.models.base import Recommender
from hbpr.models.factorization import MatrixFactorization
from hbpr.models.neumf import NeuMF
from hbpr.settings.models import ModelSettings

__all__ = ["MatrixFactorization", "NeuMF", "Recommender", "build_model"]


def build_model(settings: ModelSettings, data: Interactions, *, seed: int = 0) -> Recommender:
    """Build the model that the settings name, with its first weights, for a dataset."""
    if settings.kind == "neumf":
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
    return MatrixFactorization(
        data.user_features,
        data.item_features,
        n_latent=settings.n_latent,
        item_bias=settings.item_bias,
        init_std=settings.init_std,
        seed=seed,
    )
