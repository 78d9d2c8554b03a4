"""The settings of a study: those of a trial, what the search does with them, and their rules.

The rules say what cannot be searched together, and what to do instead; settings raise them as their
own problems. What needs the space is tried by `tune.settings.plan.make_plan`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hbpr.names import COSTS, parse_metric_name, recommended_in
from hbpr.places import check_url, is_url
from hbpr.settings.base import Settings
from hbpr.settings.models import TrialSettings, ValidationMetric
from tune.schedulers import SCHEDULERS, AshaSettings, SchedulerSettings
from tune.settings.goals import Goals, Limit, Objective
from tune.settings.sections import (
    BudgetSettings,
    FaultSettings,
    FinalSettings,
    LimitSettings,
    ObjectiveSettings,
    ResourceSettings,
    SearchSettings,
    check_recorded,
)
from tune.settings.short_forms import complete, with_named_metrics, with_one_metric
from tune.space.dimensions import written_settings

_DEFAULT_METRIC = "val/ndcg_at_10"
#: Trials of a study that names no number.
DEFAULT_TRIALS = 32


def _usable(storage: str) -> str:
    if is_url(storage):
        check_url(storage)
    return storage


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
    scheduler: Annotated[SchedulerSettings, SCHEDULERS] = Field(
        default_factory=AshaSettings,
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
        None,
        ge=1,
        description="Trials at a time, on a cluster those that wait for a node included; left out: "
        "as many as the resources hold.",
    )
    storage: Annotated[str, AfterValidator(_usable)] = Field(
        "studies",
        min_length=1,
        description="Where studies are kept: a folder, on a cluster one that all nodes share; "
        "s3://BUCKET/FOLDER; or driver: this machine, shared with nobody.",
    )
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
        _check_goals(self)
        _check_grid(self)
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
        if not isinstance(raw, Mapping):
            return raw
        return with_named_metrics(with_one_metric(raw, _DEFAULT_METRIC))

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        _check_growth(self)
        _check_reported(self)
        return self


def _check_goals(sweep: SweepSettings) -> None:
    """Refuse objectives and limits that trials cannot be compared by.

    Raises:
        ValueError: The message starts with the setting that is to be changed.
    """
    goals = sweep.goals()
    first, names = goals.objectives[0], [each.metric for each in goals.objectives]
    if first.metric in COSTS or first.mode == "min":
        raise ValueError(
            "objectives: the first picks each trial's best epoch, so it must be a validation "
            f"metric with mode max, got {first.metric} with mode {first.mode}"
        )
    if recommended_in([first.metric]):
        raise ValueError(
            "objectives: the first picks each trial's best epoch, so it must be a metric of what "
            f"users chose, such as {_DEFAULT_METRIC}, got {first.metric}; name that one second"
        )
    if first.metric != sweep.metric:
        raise ValueError(
            f"metric is the first of objectives, got {sweep.metric} beside {first.metric}; "
            "leave metric out"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"objectives: {twice[0]} is named twice")
    for name in sweep.limits:
        check_recorded(name, "limits: ")
    if not goals.plain:
        _check_beside_goals(sweep, "several objectives" if goals.several else "limits")


def _check_beside_goals(sweep: SweepSettings, what: str) -> None:
    """Refuse what knows one metric and nothing else.

    Args:
        sweep: A search with several objectives or limits.
        what: Which of the two, in words.
    """
    if sweep.scheduler.compares_one_metric:
        raise ValueError(
            f"scheduler.kind {sweep.scheduler.kind} compares trials by one metric, so with "
            f"{what} it would stop trials that can win. Leave scheduler out, or set kind: none"
        )
    if sweep.search.algorithm == "cmaes":
        raise ValueError(
            f"search.algorithm: cmaes knows one objective and no limits, got {what}. Search "
            "with tpe, nsga2 or gp"
        )
    if sweep.start_from:
        raise ValueError(
            f"start_from: with {what} earlier trials are not learnt from, since their studies "
            "need not have measured the same. Start with the best settings instead: "
            f"start_with: [{{best: {{study: {sweep.start_from[0]}}}}}]"
        )
    for name in ("target", "plateau"):
        if sweep.goals().several and getattr(sweep.budget, name) is not None:
            raise ValueError(
                f"budget.{name} looks at one value, and several objectives have no best one. "
                "Use wall_s, train_s or num_trials"
            )


def _check_grid(sweep: SweepSettings) -> None:
    """Refuse what asks for other trials than the points of a grid.

    Raises:
        ValueError: The message names the setting that is to be left out.
    """
    if sweep.search.algorithm != "grid":
        return
    for name in ("num_trials", "start_with", "start_from"):
        if getattr(sweep, name):
            raise ValueError(
                f"a grid runs all its points, got {name}={getattr(sweep, name)}. Leave {name} "
                "out, or search with tpe or random."
            )


def _check_growth(study: StudySettings) -> None:
    """Refuse data that are to grow twice.

    Raises:
        ValueError: The message starts with the setting that is to be changed.
    """
    growth = "training.growth"
    searched = any(
        name == growth or name.startswith(f"{growth}.")
        for name in written_settings(study.sweep.space)
    )
    if study.sweep.scheduler.grows_data and (study.training.growth is not None or searched):
        raise ValueError(
            "sweep.scheduler.fidelity: data sets training.growth, which is given or searched "
            "too. Leave one of them out"
        )


def _check_reported(study: StudySettings) -> None:
    """Refuse a list length that a trial need not evaluate; that of the monitor is checked already.

    Raises:
        ValueError: The message names the metric.
    """
    if "training.metrics" in written_settings(study.sweep.space):
        raise ValueError(
            "sweep.space: training.metrics changes what is reported and not what is learnt; set it "
            "in training"
        )
    for name in study.sweep.goals().metrics[1:]:
        k = None if name in COSTS else parse_metric_name(name).k
        if k is not None and k not in study.training.top_k:
            raise ValueError(
                f"sweep: {name} needs {k} in training.top_k, got {list(study.training.top_k)}"
            )
