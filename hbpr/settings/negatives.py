"""Settings of the sampling of negative items: one class for each kind."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hbpr.settings.base import Settings
from hbpr.settings.kinds import Kinds


class AnyNegatives(Settings):
    """How the negative item of a triple is drawn; known positives are never drawn.

    Fields that every kind has; each kind has a class of its own in `NEGATIVES`.
    """

    kind: str = Field(
        description="Drawn for each positive: from all items alike or by popularity, the user's "
        "observed negatives, a mix of observed and uniform, or items that now rank high "
        "(adaptive). Shared by a block of users: all items, or a sample (shared). auto: what fits "
        "the loss and the data.",
    )


class NegativeSettings(AnyNegatives):
    """Negatives that are drawn for each positive."""

    per_positive: int = Field(1, ge=1, le=1000, description="Negatives beside each positive.")
    hardest_of: int = Field(
        1, ge=1, le=1000, description="Draw so many for each negative, keep the highest scored."
    )
    warp_draws: int = Field(
        10, ge=1, le=1000, description="warp_loss: draws until one violates the margin."
    )


class UniformNegatives(NegativeSettings):
    """All items alike."""

    kind: Literal["uniform"] = Field("uniform", description="All items alike.")


class PopularityNegatives(NegativeSettings):
    """Items by popularity."""

    kind: Literal["popularity"] = Field("popularity", description="Items by popularity.")
    alpha: float = Field(0.75, ge=0.0, le=2.0, description="Exponent of an item's positives.")


class ObservedNegatives(NegativeSettings):
    """The user's observed negatives; a user without any draws from all items."""

    kind: Literal["observed"] = Field("observed", description="The user's observed negatives.")


class MixedNegatives(NegativeSettings):
    """A mix of the user's observed negatives and all items."""

    kind: Literal["mixed"] = Field("mixed", description="A mix of observed and uniform.")
    observed: float = Field(0.5, ge=0.0, le=1.0, description="Share taken from observed negatives.")


class AdaptiveNegatives(NegativeSettings):
    """Items that the model ranks high now."""

    kind: Literal["adaptive"] = Field("adaptive", description="Items that now rank high.")
    adaptive_share: float = Field(
        0.1, gt=0.0, le=1.0, description="Mean rank drawn, as a share of the items."
    )


class BlockNegatives(AnyNegatives):
    """Items that all positives of a block of users are set against at once."""

    observed_weight: float = Field(
        1.0,
        ge=0.0,
        le=1000.0,
        description="An observed negative counts so often; 1: as any other item.",
    )
    observed_as_positive: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="An observed negative is a positive that counts so much, of users who have "
        "others; 0: it is none. It pays where what was seen is no candidate.",
    )
    mask_positives: bool = Field(
        False, description="softmax_loss: a user's other positives do not count against one."
    )
    top_weight: int = Field(
        0,
        ge=0,
        le=10_000,
        description="A positive counts by sigmoid((score - the user's so-many-th best) / "
        "top_weight_temperature); 0: all alike.",
    )
    top_weight_temperature: float = Field(
        3.0, gt=0.0, le=1000.0, description="Of `top_weight`; large ones: all alike."
    )
    block_users: int = Field(256, ge=1, le=2**20, description="Users of a block: one step.")
    block_mib: int = Field(
        512, ge=1, le=2**20, description="Most memory of a block's scores and item vectors."
    )

    @model_validator(mode="after")
    def _observed_count_one_way(self) -> Self:
        if self.observed_as_positive and self.observed_weight != 1.0:
            raise ValueError(
                f"observed_as_positive {self.observed_as_positive:g} makes positives of observed "
                f"negatives, and observed_weight {self.observed_weight:g} counts them among the "
                "negatives; set observed_as_positive to 0, or observed_weight to 1"
            )
        return self


class AllNegatives(BlockNegatives):
    """Every item."""

    kind: Literal["all"] = Field("all", description="Every item.")


class SharedNegatives(BlockNegatives):
    """A sample of the items, drawn anew for each block, with its log-correction."""

    kind: Literal["shared"] = Field("shared", description="A sample of items for each block.")
    n_items: int = Field(1024, ge=1, le=2**24, description="Items of the sample.")
    alpha: float = Field(
        0.5, ge=0.0, le=2.0, description="Drawn by positives^alpha; 0: all items alike."
    )


class AutoNegatives(NegativeSettings):
    """What fits the loss and the data, see `hbpr.training.engines`; drawn ones for other losses."""

    kind: Literal["auto"] = Field("auto", description="What fits the loss and the data.")


#: The kinds of `AnyNegatives`.
NEGATIVES = Kinds(
    AnyNegatives,
    UniformNegatives,
    PopularityNegatives,
    ObservedNegatives,
    MixedNegatives,
    AdaptiveNegatives,
    AllNegatives,
    SharedNegatives,
    AutoNegatives,
)
