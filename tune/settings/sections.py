"""The sections of a study's settings, one class each; the schedulers' are in `tune.schedulers`."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hbpr.errors import ConfigError
from hbpr.names import COSTS, lower_is_better, parse_metric_name
from hbpr.settings.base import Seed, Settings


def check_recorded(name: str, place: str = "") -> None:
    """Refuse what a trial does not record of its model.

    Raises:
        ConfigError: It is neither a validation metric nor a cost.
    """
    if name in COSTS:
        return
    try:
        part = parse_metric_name(name, COSTS).part
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from None
    if part != "val":
        raise ConfigError(
            f"{place}metric must be a validation metric (val/...), {' or '.join(COSTS)}, got "
            f"{name!r}"
        )


class SearchSettings(Settings):
    """What decides the settings of the next trial."""

    algorithm: Literal["tpe", "gp", "cmaes", "nsga2", "qmc", "random", "grid"] = Field(
        "tpe",
        description="tpe, gp, cmaes and nsga2 learn from earlier trials; qmc spreads points "
        "evenly; grid runs every point in order.",
    )
    seed: Seed = Field(0, description="Seed of the suggestions.")


class ObjectiveSettings(Settings):
    """One of several things to be good at."""

    metric: str = Field(description="Validation metric, item_vector_bytes or score_cpu_ms.")
    mode: Literal["max", "min"] = Field(
        description="What is better; left out: min of what is better when lower."
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_mode(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and "metric" in raw and "mode" not in raw:
            return {**raw, "mode": "min" if lower_is_better(str(raw["metric"])) else "max"}
        return raw

    @model_validator(mode="after")
    def _metric_is_recorded(self) -> Self:
        check_recorded(self.metric)
        if self.mode == "max" and lower_is_better(self.metric):
            raise ValueError(f"mode must be min: {self.metric} is better when lower, got max")
        return self


class LimitSettings(Settings):
    """Values of a metric that are acceptable, both ends included."""

    min: float | None = Field(None, description="The least.")
    max: float | None = Field(None, description="The most.")

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a limit needs min, max or both, got neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must not be above max, got {self.min:g} and {self.max:g}")
        return self


class ResourceSettings(Settings):
    """What one trial occupies."""

    cpu: int = Field(1, ge=1, le=4096, description="CPUs of a trial; also its threads.")
    gpu: float = Field(0.0, ge=0.0, le=64.0, description="GPUs of a trial; shares below one.")

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        if self.gpu > 1.0 and not self.gpu.is_integer():
            raise ValueError(f"gpu must be a share up to 1 or a whole number, got {self.gpu}")
        return self


class BudgetSettings(Settings):
    """What ends a search in order before all trials have run; whatever is reached first.

    Trials that run then are stopped. Times add up over the sittings of a study.
    """

    wall_s: float | None = Field(None, gt=0.0, description="Seconds in which trials run.")
    train_s: float | None = Field(
        None, gt=0.0, description="Seconds of training and evaluation, summed over all trials."
    )
    target: float | None = Field(None, description="Value of the metric that is good enough.")
    plateau: int | None = Field(
        None, ge=1, description="Trials that end without a new best value of the study."
    )


class FaultSettings(Settings):
    """What is made good, and how often."""

    max_retries: int = Field(
        2, ge=0, le=100, description="Starts of a crashed trial anew, from its last checkpoint."
    )
    trial_timeout_s: float | None = Field(
        None,
        gt=0.0,
        description="Seconds without a report after which a trial hangs: its process is killed.",
    )


class FinalSettings(Settings):
    """What happens with the best trials."""

    top: int = Field(
        1, ge=1, le=100, description="Best trials that are repeated and compared once more."
    )
    seeds: int = Field(
        1, ge=1, le=1000, description="Repeats of each, with other seeds; 1 with top 1: none."
    )
    refit: Literal["train+validation", "none"] = Field(
        "train+validation", description="Data of the winner's last training before the test."
    )
    register_model: Literal[True, False, "always"] = Field(
        True,
        description="Register the winner in MLflow under the experiment's name; true: as champion "
        "unless a baseline ranks above it, always: in any case.",
    )
