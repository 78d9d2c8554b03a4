"""The settings of one training run, as frozen models that refuse unknown keys.

Every default lives here. A study's ``sweep`` section is `tune.settings.SweepSettings`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hbpr.data.sources import SOURCES, rules
from hbpr.names import check_validation_metric, parse_metric_name
from hbpr.training.losses import LOSSES

#: Full name of a metric of the validation part.
ValidationMetric = Annotated[str, AfterValidator(check_validation_metric)]
Candidates = Literal["all", "observed", "fixed"]
Features = Literal["indicator", "metadata", "both"]
ItemFeatures = Literal["indicator", "metadata", "both", "genome"]
Regularisation = Annotated[float, Field(ge=0.0, le=1e3, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, no silent conversions.

    Strict: ``true`` is not the number 1 and ``"64"`` is not 64. A tuple field that a YAML list
    fills needs ``Field(strict=False)``; its members stay strict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


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


class FeatureTableSettings(Settings):
    """A table that describes users or items, one row for each."""

    path: str = Field(min_length=1, description="CSV (also .gz) or Parquet file.")
    id: str = Field(min_length=1, description="Column of the user or item id.")
    columns: tuple[str, ...] | None = Field(
        None, strict=False, description="Columns to use; none: all but the id."
    )
    separator: str | None = Field(
        None, min_length=1, description="Splits a text into several values, such as '|'."
    )


class TableSettings(Settings):
    """A table of interactions, one row each, and the meaning of its columns."""

    path: str = Field(min_length=1, description="CSV (also .gz) or Parquet file.")
    user: str = Field("user", min_length=1, description="Column of the user id.")
    item: str = Field("item", min_length=1, description="Column of the item id.")
    value: str | None = Field(
        None, min_length=1, description="Column of a number that data.rating_threshold judges."
    )
    event: str | None = Field(
        None, min_length=1, description="Column of an event type or label; excludes value."
    )
    positive_events: tuple[str | int, ...] = Field(
        (), strict=False, description="Values of event that make a positive."
    )
    negative_events: tuple[str | int, ...] = Field(
        (), strict=False, description="Values of event that make an observed negative."
    )
    page: str | None = Field(
        None,
        min_length=1,
        description="Column of the page, list or session that showed the item; what a user was "
        "shown and never chose is an observed negative.",
    )
    time: str | None = Field(
        None, min_length=1, description="Column of a time: a number or a date."
    )
    weight: str | None = Field(
        None, min_length=1, description="Column of a weight above 0 of the interaction."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="CSV: between columns.")
    min_per_user: int = Field(1, ge=1, description="Positives that a user has at least.")
    min_per_item: int = Field(1, ge=1, description="Positives that an item has at least.")
    k_core: bool = Field(
        False, description="Repeat the two minima until both hold; else items first, then users."
    )
    user_features: FeatureTableSettings | None = Field(None, description="Describes users.")
    item_features: FeatureTableSettings | None = Field(None, description="Describes items.")

    @model_validator(mode="after")
    def _rows_have_one_meaning(self) -> "TableSettings":
        if self.value is not None and self.event is not None:
            raise ValueError("value and event exclude each other: what is a positive?")
        if (self.event is not None) != bool(self.positive_events):
            raise ValueError(
                "event and positive_events go together, "
                f"got event {self.event!r} and positive_events {list(self.positive_events)}"
            )
        if self.negative_events and self.event is None:
            raise ValueError("negative_events needs event, the column to find them in")
        both = {str(e) for e in self.positive_events} & {str(e) for e in self.negative_events}
        if both:
            raise ValueError(f"an event is positive or negative, got both for {sorted(both)}")
        return self


class DataSettings(Settings):
    """Where interactions and features come from, and how they are parted."""

    source: Annotated[str, SOURCES] = Field("movielens", description="Kind of source.")
    name: str = Field(
        "ml-100k",
        min_length=1,
        description="Dataset of the source, or a name of your own; left out: ml-1m for ncf, or the "
        "name of the source.",
    )
    table: TableSettings | None = Field(None, description="The file of the source table.")
    rating_threshold: float = Field(
        4.0, description="At or above: positive; below: observed negative."
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
        description="What held-out items are ranked among: all, the user's observed negatives of "
        "the same part, or fixed lists; ncf: fixed, if left out.",
    )
    synthetic: SyntheticSettings = Field(
        default_factory=SyntheticSettings, description="Shape of generated data."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_source(cls, values: Any) -> Any:
        return rules.with_defaults(values)

    @model_validator(mode="after")
    def _fit_the_source(self) -> "DataSettings":
        rules.check(self)
        return self


class ModelSettings(Settings):
    """The model. What is marked ``neumf`` says nothing to the other kind."""

    kind: Literal["mf", "neumf"] = Field(
        "mf", description="mf: hybrid matrix factorization; neumf: it, beside a small network."
    )
    n_latent: int = Field(
        64, ge=1, le=4096, description="Size of the latent vectors; neumf: of the GMF tower's."
    )
    item_bias: bool = Field(True, description="Learn a bias for every item feature.")
    init_std: float = Field(0.1, gt=0.0, le=10.0, description="Deviation of the first weights.")
    n_latent_mlp: int = Field(
        32, ge=1, le=4096, description="neumf: size of the MLP tower's vectors."
    )
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (64, 32), strict=False, min_length=1, description="neumf: widths of the hidden layers."
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="neumf: share of hidden activations dropped in training."
    )
    pretrain_epochs: int = Field(
        0, ge=0, le=100_000, description="neumf: epochs that train each tower alone first."
    )


class OptimizerSettings(Settings):
    """The optimizer; L2 acts once on each vector that a positive and its negatives touch."""

    name: Literal["sgd", "adagrad", "adam", "adamw", "rmsprop"] = Field(
        "adagrad", description="Update rule."
    )
    lr: float = Field(0.05, gt=0.0, le=100.0, description="Learning rate at the first epoch.")
    reg_user: Regularisation = Field(0.01, description="L2 of user vectors.")
    reg_positive: Regularisation = Field(0.01, description="L2 of positive items' vectors.")
    reg_negative: Regularisation = Field(0.01, description="L2 of negative items' vectors.")
    reg_bias: Regularisation = Field(0.0, description="L2 of item biases.")
    schedule: Literal["constant", "inverse_time", "cosine"] = Field(
        "constant", description="How lr changes over the epochs; cosine ends at 0."
    )
    decay: float = Field(
        0.05, ge=0.0, le=1e3, description="inverse_time: lr / (1 + decay * epochs done)."
    )


class NegativeSettings(Settings):
    """How the negative item of a triple is drawn; known positives are never drawn."""

    kind: Literal["uniform", "popularity", "observed", "mixed", "adaptive"] = Field(
        "uniform",
        description="Pool: all items alike or by popularity, the user's observed negatives, "
        "a mix of observed and uniform, or items that now rank high (adaptive).",
    )
    observed: float = Field(
        0.5, ge=0.0, le=1.0, description="Mixed: share taken from observed negatives."
    )
    alpha: float = Field(
        0.75, ge=0.0, le=2.0, description="popularity: exponent of an item's positives."
    )
    adaptive_share: float = Field(
        0.1, gt=0.0, le=1.0, description="adaptive: mean rank drawn, as a share of the items."
    )
    per_positive: int = Field(1, ge=1, le=1000, description="Negatives beside each positive.")
    hardest_of: int = Field(
        1, ge=1, le=1000, description="Draw so many for each negative, keep the highest scored."
    )
    warp_draws: int = Field(
        10, ge=1, le=1000, description="warp_loss: draws until one violates the margin."
    )


class GrowthSettings(Settings):
    """Training positives that grow in number: later epochs, larger shares of each user's."""

    share: float = Field(gt=0.0, lt=1.0, description="Share of each user's positives at first.")
    epochs: int = Field(ge=1, description="Epochs with the first share.")
    factor: float = Field(
        gt=1.0, le=100.0, description="The share, and the epoch of the next step, grow by it."
    )

    def at(self, epoch: int) -> float:
        """Return the share that an epoch trains on, counted from 1.

        Example:
            >>> growth = GrowthSettings(share=0.1, epochs=5, factor=4.0)
            >>> [growth.at(epoch) for epoch in (1, 5, 6, 20, 21)]
            [0.1, 0.1, 0.4, 0.4, 1.0]
        """
        share, end = self.share, float(self.epochs)
        while share < 1.0 and epoch > end:
            share, end = share * self.factor, end * self.factor
        return 1.0 if share > 1.0 - 1e-9 else share


class TrainingSettings(Settings):
    """The training loop, its evaluation on the validation part, and when it stops."""

    engine: Literal["auto", "fused", "autograd"] = Field(
        "auto", description="auto: the fastest that fits."
    )
    loss_function: Annotated[str, LOSSES] = Field("bpr_loss", description="Loss of a triple.")
    negatives: NegativeSettings = Field(
        default_factory=NegativeSettings, description="Sampling of negative items."
    )
    n_iter: int = Field(
        100, ge=1, le=1_000_000, description="Epochs; each visits every training positive once."
    )
    batch_size: int = Field(4096, ge=1, le=2**24, description="Triples a step (autograd).")
    growth: GrowthSettings | None = Field(
        None, description="Begin with a share of the training positives; left out: all of them."
    )
    eval_every: int = Field(5, ge=1, description="Epochs between evaluations.")
    top_k: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (10, 20), strict=False, min_length=1, description="Lengths of the lists that metrics judge."
    )
    monitor: ValidationMetric = Field(
        "val/ndcg_at_10", description="Metric that picks the best epoch."
    )
    early_stopping_patience: int = Field(
        10, ge=0, description="Evaluations without a new best before the end; 0: never stop."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where autograd runs.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Of autograd's matrix products; weights, losses and sums stay float32.",
    )
    threads: int = Field(
        1,
        ge=1,
        le=1024,
        description="Threads of the fused engine; one repeats bit for bit. A trial has its CPUs.",
    )
    seed: Seed = Field(0, description="Seed of weights and sampling.")

    @model_validator(mode="after")
    def _monitor_is_reported(self) -> "TrainingSettings":
        name = parse_metric_name(self.monitor)
        if name.k is not None and name.k not in self.top_k:
            raise ValueError(
                f"monitor {self.monitor!r} needs {name.k} in training.top_k, got {list(self.top_k)}"
            )
        return self


class MlflowSettings(Settings):
    """Where runs are recorded."""

    experiment_name: str = Field("hbpr", min_length=1, description="MLflow experiment.")
    tracking_uri: str = Field(
        "sqlite:///mlflow.db", min_length=1, description="SQLite file or http(s) server."
    )


class TrialSettings(Settings):
    """All settings of one training run."""

    data: DataSettings = Field(default_factory=DataSettings, description="The data.")
    model: ModelSettings = Field(default_factory=ModelSettings, description="The model.")
    optimizer: OptimizerSettings = Field(
        default_factory=OptimizerSettings, description="The optimizer."
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="The training loop."
    )
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings, description="The records.")
