"""Settings of the sampling of negative items: one class for each kind."""

from typing import Literal

from pydantic import Field

from hbpr.settings.base import Settings
from hbpr.settings.kinds import Kinds


class NegativeSettings(Settings):
    """How the negative item of a triple is drawn; known positives are never drawn.

    Fields that every kind has; each kind has a class of its own in `NEGATIVES`.
    """

    kind: str = Field(
        description="Pool: all items alike or by popularity, the user's observed negatives, "
        "a mix of observed and uniform, or items that now rank high (adaptive).",
    )
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


#: The kinds of `NegativeSettings`.
NEGATIVES = Kinds(
    NegativeSettings,
    UniformNegatives,
    PopularityNegatives,
    ObservedNegatives,
    MixedNegatives,
    AdaptiveNegatives,
)
