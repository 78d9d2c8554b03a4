"""Settings of the training loop and of the optimizer."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from hbpr.contracts.metric import report_metric
from hbpr.names import check_validation_metric, parse_metric_name
from hbpr.settings import hybrid_bpr
from hbpr.settings.base import Seed, Settings
from hbpr.settings.negatives import NEGATIVES, AnyNegatives, UniformNegatives
from hbpr.training.losses import LOSSES

#: Full name of a metric of the validation part.
ValidationMetric = Annotated[str, AfterValidator(check_validation_metric)]
#: Name of a metric of lists, or one from outside, which the process knows from here on.
ReportedMetric = Annotated[Any, PlainValidator(report_metric, json_schema_input_type=str)]
Regularisation = Annotated[float, Field(ge=0.0, le=1e3, allow_inf_nan=False)]


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

    @model_validator(mode="before")
    @classmethod
    def _of_hybrid_bpr(cls, values: Any) -> Any:
        return hybrid_bpr.optimizer(values)


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

    engine: Literal["auto", "fused", "autograd", "listwise"] = Field(
        "auto", description="auto: the fastest that fits."
    )
    loss_function: Annotated[str, LOSSES] = Field(
        "bpr_loss", description="Loss of a triple; or module:name, a loss of your own."
    )
    negatives: Annotated[AnyNegatives, NEGATIVES] = Field(
        default_factory=UniformNegatives, description="Sampling of negative items."
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
    metrics: tuple[ReportedMetric, ...] = Field(
        (),
        strict=False,
        description="Reported besides, at each length of top_k: coverage, novelty, diversity, arp "
        "(popularity), gini, or module:name, metrics of your own. What a study's objectives and "
        "limits name is added.",
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

    @model_validator(mode="before")
    @classmethod
    def _of_hybrid_bpr(cls, values: Any) -> Any:
        return hybrid_bpr.training(values)

    @model_validator(mode="after")
    def _monitor_is_reported(self) -> "TrainingSettings":
        name = parse_metric_name(self.monitor)
        if name.k is not None and name.k not in self.top_k:
            raise ValueError(
                f"monitor {self.monitor!r} needs {name.k} in training.top_k, got {list(self.top_k)}"
            )
        return self
