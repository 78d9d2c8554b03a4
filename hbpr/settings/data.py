"""Settings of the data: where they come from, and how they are parted."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hbpr.data.sources import SOURCES, rules
from hbpr.settings import hybrid_bpr
from hbpr.settings.base import Seed, Settings
from hbpr.settings.tables import TableSettings

Candidates = Literal["all", "unseen", "observed", "fixed"]
Features = Literal["indicator", "metadata", "both"]
ItemFeatures = Literal["indicator", "metadata", "both", "genome"]


class SplitSettings(Settings):
    """How interactions are parted; what train and validation leave over is the test part."""

    kind: Literal["random", "leave_one_out", "temporal", "cold_items", "cold_users", "fixed"] = (
        Field(
            "random",
            description="random: within each user; leave_one_out: a user's latest is test (ncf: "
            "the published), the one before validation; temporal: two moments part all; "
            "cold_items, cold_users: whole items or users are held out; fixed: a published fold.",
        )
    )
    name: str | None = Field(
        None, min_length=1, description="fixed: u1 to u5, ua or ub of ml-100k; else none."
    )
    train: float = Field(
        0.8, gt=0.0, lt=1.0, description="Share of positives (cold_*: of items or users) to learn."
    )
    validation: float = Field(
        0.1,
        ge=0.0,
        lt=1.0,
        description="Share held out for the search; fixed: of what is not in test.",
    )
    seed: Seed = Field(0, description="Seed of the split alone.")

    @model_validator(mode="after")
    def _leave_a_test_part(self) -> "SplitSettings":
        shares = ("train", "validation")
        unused = {"leave_one_out": shares, "fixed": shares[:1]}.get(self.kind, ())
        for key in unused:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key} says nothing to a split of kind {self.kind}, got {getattr(self, key)}; "
                    "leave it out"
                )
        if self.name is not None and self.kind != "fixed":
            raise ValueError(f"name is for kind fixed, got {self.name!r} beside {self.kind}")
        if not unused and self.train + self.validation >= 1.0:
            raise ValueError(
                "train + validation must be below 1 so that a test part is left, "
                f"got {self.train} + {self.validation}"
            )
        return self


class SyntheticSettings(Settings):
    """A generated dataset with planted preferences."""

    n_users: int = Field(600, ge=2, le=10_000_000, description="Number of users.")
    n_items: int = Field(300, ge=3, le=10_000_000, description="Number of items.")
    n_shown: int = Field(
        100, ge=2, description="Items a user was shown, on average; at most 95 % of all."
    )
    n_factors: int = Field(4, ge=1, le=512, description="Size of the planted preference space.")
    noise: float = Field(0.3, ge=0.0, le=100.0, description="Deviation of a choice's noise.")
    seed: Seed = Field(0, description="Seed of the generator.")


class DataSettings(Settings):
    """Where interactions and features come from, and how they are parted."""

    source: Annotated[str, SOURCES] = Field(
        "movielens", description="Kind of source; or module:name, one of your own."
    )
    name: str = Field(
        "ml-100k",
        min_length=1,
        description="Dataset of the source, or a name of your own; left out: ml-1m for ncf, or the "
        "name of the source.",
    )
    table: TableSettings | None = Field(None, description="The file of the source table.")
    rating_threshold: float = Field(
        3.5, description="At or above: positive; below: observed negative."
    )
    item_feature: ItemFeatures = Field(
        "indicator",
        description="Features of an item: its own, what describes it, or both; genome: its own, "
        "and the tag genome of ml-20m and ml-25m.",
    )
    user_feature: Features = Field("indicator", description="Features of a user.")
    split: SplitSettings = Field(
        default_factory=SplitSettings,
        description="The three parts; left out: leave_one_out for ncf, fixed for coat.",
    )
    candidates: Candidates = Field(
        "all",
        description="What held-out items are ranked among: all; unseen: all but the user's "
        "observed negatives of earlier parts; observed: those of the same part; or fixed lists; "
        "ncf: fixed, if left out.",
    )
    synthetic: SyntheticSettings = Field(
        default_factory=SyntheticSettings, description="Shape of generated data."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_source(cls, values: Any) -> Any:
        return rules.with_defaults(hybrid_bpr.data(values))

    @model_validator(mode="after")
    def _fit_the_source(self) -> "DataSettings":
        rules.check(self)
        return self
