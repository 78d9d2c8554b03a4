"""Settings of the model: one class for each kind."""

from typing import Annotated, Literal

from pydantic import Field

from hbpr.settings.base import Settings
from hbpr.settings.kinds import Kinds


class ModelSettings(Settings):
    """What every model has; each kind has a class of its own in `MODELS`."""

    kind: str = Field(
        description="mf: hybrid matrix factorization; neumf: it, beside a small network."
    )
    n_latent: int = Field(
        64, ge=1, le=4096, description="Size of the latent vectors; neumf: of the GMF tower's."
    )
    item_bias: bool = Field(True, description="Learn a bias for every item feature.")
    init_std: float = Field(0.1, gt=0.0, le=10.0, description="Deviation of the first weights.")


class MfSettings(ModelSettings):
    """Hybrid matrix factorization."""

    kind: Literal["mf"] = Field("mf", description="Hybrid matrix factorization.")
    similarity: Literal["dot", "cosine"] = Field(
        "dot", description="Score by the inner product, or by the cosine: lengths do not count."
    )
    temperature: float | None = Field(
        None,
        gt=0.0,
        le=100.0,
        description="Divides the products; left out: 1 with dot, 0.05 to 0.2 "
        "with cosine, by how widely positives are shared.",
    )


class NeuMFSettings(ModelSettings):
    """Neural matrix factorization."""

    kind: Literal["neumf"] = Field(
        "neumf", description="Hybrid matrix factorization beside a small network."
    )
    n_latent_mlp: int = Field(32, ge=1, le=4096, description="Size of the MLP tower's vectors.")
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (64, 32), strict=False, min_length=1, description="Widths of the hidden layers."
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of hidden activations dropped in training."
    )
    pretrain_epochs: int = Field(
        0, ge=0, le=100_000, description="Epochs that train each tower alone first."
    )


#: The kinds of `ModelSettings`.
MODELS = Kinds(ModelSettings, MfSettings, NeuMFSettings)
