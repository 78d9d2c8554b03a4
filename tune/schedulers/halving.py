"""What the two kinds of successive halving have in common: their settings."""

from typing import ClassVar, Literal

from pydantic import Field

from hbpr.settings.training import GrowthSettings
from tune.schedulers.base import SchedulerSettings, growing_epochs


class HalvingSettings(SchedulerSettings):
    """At growing epochs one of `reduction_factor` trials goes on."""

    grace_period: int = Field(
        5, ge=1, description="Epochs that every trial may run before it can be stopped."
    )
    reduction_factor: float = Field(
        3.0, gt=1.0, le=100.0, description="One of this many trials goes on."
    )
    fidelity: Literal["epochs", "data"] = Field(
        "epochs",
        description="What a trial that goes on gets more of: epochs, or with them data: a share of "
        "each user's positives that grows by reduction_factor, up to all.",
    )

    decides_by_order: ClassVar[bool] = True
    short_form: ClassVar[tuple[str, ...]] = ("grace_period", "reduction_factor")

    @property
    def grows_data(self) -> bool:
        """Whether a trial that goes on gets more of the data."""
        return self.fidelity == "data"

    def growth(self, max_epochs: int) -> GrowthSettings | None:
        """Return shares that grow at every halving, to all of the data at the last one."""
        halvings = len(self.decision_epochs(max_epochs))
        if not self.grows_data or not halvings:
            return None
        share = self.reduction_factor**-halvings
        return GrowthSettings(share=share, epochs=self.grace_period, factor=self.reduction_factor)

    def decision_epochs(self, max_epochs: int) -> list[int]:
        """Return the epochs at which trials are halved.

        Example:
            >>> from tune.schedulers import AshaSettings
            >>> AshaSettings(grace_period=5, reduction_factor=3.0).decision_epochs(60)
            [5, 15, 45]
        """
        return growing_epochs(self.grace_period, self.reduction_factor, max_epochs)

    def evaluate_at(self, max_epochs: int) -> tuple[int, ...]:
        """Return the epochs at which trials are halved."""
        return tuple(self.decision_epochs(max_epochs))
