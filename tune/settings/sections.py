"""The settings of a study: a trial's settings and what the search does with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hbpr.errors import ConfigError, SpaceError
from hbpr.names import COSTS
from hbpr.settings.load import apply_overrides, resolve_paths, validate
from hbpr.settings.models import (
    GrowthSettings,
    Seed,
    Settings,
    TrialSettings,
    ValidationMetric,
)
from hbpr.settings.yaml import Document, load_yaml
from tune.settings.goals import Goals, Limit, Objective
from tune.settings.rules import (
    check_fidelity,
    check_goals,
    check_grid,
    check_ranges,
    check_recorded,
    check_reported,
)
from tune.settings.short_forms import complete, with_one_metric
from tune.space import Space
from tune.space.check import check_space, data_points, largest
from tune.space.points import check_point, written_points

_DEFAULT_METRIC = "val/ndcg_at_10"
#: Trials of a study that names no number.
DEFAULT_TRIALS = 32


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
        description="What is better; left out: max of a validation metric, min of a cost."
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_mode(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and "metric" in raw and "mode" not in raw:
            return {**raw, "mode": "min" if raw["metric"] in COSTS else "max"}
        return raw

    @model_validator(mode="after")
    def _metric_is_recorded(self) -> Self:
        check_recorded(self.metric)
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


class SchedulerSettings(Settings):
    """What stops trials early."""

    kind: Literal["asha", "median", "hyperband", "pbt", "none"] = Field(
        "asha",
        description="Rule by which a trial is stopped; pbt: the worst are replaced by copies of "
        "the best with other learning rates and regularisation; none: every trial runs to its end.",
    )
    grace_period: int = Field(
        5, ge=1, description="Epochs that every trial may run before it can be stopped."
    )
    reduction_factor: float = Field(
        3.0, gt=1.0, le=100.0, description="One of this many trials goes on (asha, hyperband)."
    )
    fidelity: Literal["epochs", "data"] = Field(
        "epochs",
        description="What a trial that goes on gets more of (asha, hyperband): epochs, or with "
        "them data: a share of each user's positives that grows by reduction_factor, up to all.",
    )
    interval: int = Field(
        10, ge=1, description="Epochs between two comparisons of all trials (pbt)."
    )
    quantile: float = Field(
        0.25, gt=0.0, le=0.5, description="Share of trials that copies replace each time (pbt)."
    )


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

    Trials that run then are stopped like pruned ones. Times add up over the sittings of a study.
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
    register_model: bool = Field(
        True, description="Register the winner in MLflow under the experiment's name as champion."
    )


class SweepSettings(Settings):
    """The search.

    The short form is a mapping of dotted settings only, such as ``{model.n_latent: [32, 64]}``: a
    grid over these lists.
    """

    metric: ValidationMetric = Field(
        _DEFAULT_METRIC, description="Validation metric that picks the winner."
    )
    mode: Literal["max"] = Field("max", description="All metrics are better when higher.")
    objectives: tuple[ObjectiveSettings, ...] = Field(
        (),
        strict=False,
        description="In place of metric, several: [{metric: val/ndcg_at_10, mode: max}, {metric: "
        "item_vector_bytes, mode: min}]. The first picks epochs and the champion.",
    )
    limits: dict[str, LimitSettings] = Field(
        default_factory=dict,
        description="Measured values beyond which a trial cannot win, such as "
        "{item_vector_bytes: {max: 2000000}}.",
    )
    search: SearchSettings = Field(
        default_factory=SearchSettings, description="What decides the next trial."
    )
    scheduler: SchedulerSettings = Field(
        default_factory=SchedulerSettings,
        description="What stops trials early; left out, a grid and a study with several objectives "
        "or limits run all to the end.",
    )
    num_trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description=f"Trials of the study; {DEFAULT_TRIALS} if left out. A grid has its points; "
        "pbt: the population, to which copies come.",
    )
    space: dict[str, Any] = Field(
        min_length=1,
        description="Dotted setting -> list of values, {choices} or {low, high, log, step}.",
    )
    constraints: tuple[str, ...] = Field(
        (),
        strict=False,
        description="Conditions that every trial meets, such as "
        "model.n_latent * training.batch_size <= 1000000.",
    )
    start_with: tuple[Literal["defaults", "portfolio"] | dict[str, Any], ...] = Field(
        (),
        strict=False,
        description="Points to run first: defaults, portfolio (what was found on other data), "
        "{setting: value, ...}, {file: CONFIG} or {best: {study: FOLDER or "
        "mlflow:EXPERIMENT[/STUDY], k: 3}}; what a point leaves out is drawn.",
    )
    start_from: tuple[str, ...] = Field(
        (),
        strict=False,
        description="Earlier studies whose finished trials are known: folders, or "
        "mlflow:EXPERIMENT[/STUDY].",
    )
    resources: ResourceSettings = Field(
        default_factory=ResourceSettings, description="What one trial occupies."
    )
    max_concurrent: int | None = Field(
        None, ge=1, description="Trials at a time; left out: as many as the resources hold."
    )
    storage: str = Field("studies", min_length=1, description="Folder of the studies' folders.")
    budget: BudgetSettings = Field(
        default_factory=BudgetSettings, description="What ends the search early."
    )
    faults: FaultSettings = Field(
        default_factory=FaultSettings, description="What happens when a trial crashes or hangs."
    )
    final: FinalSettings = Field(
        default_factory=FinalSettings, description="What happens with the best trials."
    )

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, raw: Any) -> Any:
        return complete(raw) if isinstance(raw, Mapping) else raw

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        check_goals(self)
        check_grid(self)
        return self

    def goals(self) -> Goals:
        """Return what trials are compared by."""
        several = [Objective(each.metric, each.mode) for each in self.objectives]
        return Goals(
            tuple(several) or (Objective(self.metric, self.mode),),
            tuple(Limit(name, limit.min, limit.max) for name, limit in self.limits.items()),
        )


class StudySettings(TrialSettings):
    """Settings of every trial, and the search over some of them."""

    sweep: SweepSettings = Field(description="The search.")

    @model_validator(mode="before")
    @classmethod
    def _one_metric(cls, raw: Any) -> Any:
        return with_one_metric(raw, _DEFAULT_METRIC) if isinstance(raw, Mapping) else raw

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        check_fidelity(self)
        check_reported(self)
        return self

    def base_trial(self) -> TrialSettings:
        """Return the settings of a trial in which nothing searched has been replaced yet."""
        plain = TrialSettings(**{name: getattr(self, name) for name in TrialSettings.model_fields})
        if self.sweep.scheduler.fidelity == "epochs":
            return plain
        growth = self._growth(int(largest(self._parsed(), "training.n_iter", plain)))
        return plain.model_copy(
            update={"training": plain.training.model_copy(update={"growth": growth})}
        )

    def _parsed(self) -> Space:
        return Space.parse(self.sweep.space, self.sweep.constraints)

    def _growth(self, max_epochs: int) -> GrowthSettings | None:
        """Return shares that grow at every halving, to all of the data at the last one."""
        scheduler = self.sweep.scheduler
        factor, halvings, epoch = scheduler.reduction_factor, 0, float(scheduler.grace_period)
        while epoch < max_epochs:
            halvings, epoch = halvings + 1, epoch * factor
        if not halvings:
            return None
        share = factor**-halvings
        return GrowthSettings(share=share, epochs=scheduler.grace_period, factor=factor)

    def search_space(self) -> Space:
        """Return the space, tried against the settings.

        Raises:
            SpaceError: A dimension, a constraint or a point to start with is wrong; the message
                starts with its key.
        """
        sweep, base = self.sweep, self.base_trial()
        space = check_space(self._parsed(), base)
        data_points(space, base)
        if sweep.search.algorithm == "grid":
            space.grid()
        if sweep.search.algorithm == "cmaes":
            check_ranges(space)
        if sweep.scheduler.kind == "pbt":
            from tune.schedulers.population import check_population

            check_population(self, space)
        for place, point in written_points(sweep.start_with):
            check_point(space, point, place)
        return space

    def n_trials(self) -> int:
        """Return the number of trials, copies not counted; a grid has as many as points."""
        if self.sweep.search.algorithm == "grid":
            return len(self.search_space().grid())
        return self.sweep.num_trials or DEFAULT_TRIALS

    def most_copies(self) -> int:
        """Return how many copies of trials a population can make beside its own trials."""
        if self.sweep.scheduler.kind != "pbt":
            return 0
        from tune.schedulers.population import most_copies

        return most_copies(self)

    def max_epochs(self) -> int:
        """Return the most epochs that a trial can train."""
        return int(largest(self.search_space(), "training.n_iter", self.base_trial()))


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> StudySettings:
    """Read the settings of a study and try its whole space.

    Args:
        path: YAML file with a ``sweep`` section.
        overrides: Such as ``["training.n_iter=5", "sweep.num_trials=3"]``.

    Raises:
        ConfigError: The file, an override or a setting is wrong.
        SpaceError: A dimension is wrong; file, line and dotted key come first.
    """
    document = load_yaml(path)
    if "sweep" not in apply_overrides(document.data, overrides, StudySettings):
        raise ConfigError(
            f"{document.path}: there is no sweep section, so there is nothing to search. Train it "
            f"with `hbpr train {document.path}`, or add one, for example "
            "sweep: {optimizer.lr: [0.01, 0.05]}"
        )
    settings = resolve_paths(validate(StudySettings, document, overrides=overrides))
    try:
        settings.search_space()
    except SpaceError as error:
        raise SpaceError(f"{_place(document, overrides, str(error))}{error}") from None
    return settings


def _place(document: Document, overrides: Sequence[str], message: str) -> str:
    """Return where the dimension that a message starts with was written."""
    key = message.partition(":")[0]
    overridden = {text.partition("=")[0].strip() for text in overrides}
    for name in (f"sweep.space.{key}", f"sweep.{key}", "sweep.space", "sweep"):
        if name in overridden:
            return "--set "
        if name in document.lines:
            return f"{document.path}, line {document.lines[name]}, "
    return f"{document.path}, "
