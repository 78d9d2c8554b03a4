"""The settings of a study: a trial's settings and what the search does with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hbpr.errors import ConfigError, SpaceError
from hbpr.names import parse_metric_name
from hbpr.settings.load import apply_overrides, resolve_paths, validate
from hbpr.settings.models import Seed, Settings, TrialSettings
from hbpr.settings.yaml import Document, load_yaml
from tune.space import Space

_DEFAULT_METRIC = "val/ndcg_at_10"
_DEFAULT_TRIALS = 32


class SearchSettings(Settings):
    """What decides the settings of the next trial."""

    algorithm: Literal["tpe", "random", "grid"] = Field(
        "tpe", description="tpe learns from earlier trials; grid runs every point in order."
    )
    seed: Seed = Field(0, description="Seed of the suggestions.")


class SchedulerSettings(Settings):
    """What stops trials early."""

    kind: Literal["asha", "median", "hyperband", "none"] = Field(
        "asha", description="Rule by which a trial is stopped; none: every trial runs to its end."
    )
    grace_period: int = Field(
        5, ge=1, description="Epochs that every trial may run before it can be stopped."
    )
    reduction_factor: float = Field(
        3.0, gt=1.0, le=100.0, description="One of this many trials goes on (asha, hyperband)."
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


class FinalSettings(Settings):
    """What happens with the winner."""

    refit: Literal["train+validation", "none"] = Field(
        "train+validation", description="Data of the winner's last training before the test."
    )


class SweepSettings(Settings):
    """The search.

    The short form is a mapping of dotted settings only, such as ``{model.n_latent: [32, 64]}``: a
    grid over these lists.
    """

    metric: str = Field(_DEFAULT_METRIC, description="Validation metric that picks the winner.")
    mode: Literal["max"] = Field("max", description="All metrics are better when higher.")
    search: SearchSettings = Field(
        default_factory=SearchSettings, description="What decides the next trial."
    )
    scheduler: SchedulerSettings = Field(
        default_factory=SchedulerSettings,
        description="What stops trials early; a grid runs all to the end unless it says otherwise.",
    )
    num_trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description=f"Trials of the study; {_DEFAULT_TRIALS} if left out. A grid has its points.",
    )
    space: dict[str, Any] = Field(
        min_length=1,
        description="Dotted setting -> list of values, {choices} or {low, high, log, step}.",
    )
    resources: ResourceSettings = Field(
        default_factory=ResourceSettings, description="What one trial occupies."
    )
    max_concurrent: int | None = Field(
        None, ge=1, description="Trials at a time; left out: as many as the resources hold."
    )
    storage: str = Field("studies", min_length=1, description="Folder of the studies' folders.")
    final: FinalSettings = Field(
        default_factory=FinalSettings, description="What happens with the winner."
    )

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, raw: Any) -> Any:
        """Turn the short form into the long one, and let a grid run to its end by default."""
        if not isinstance(raw, Mapping) or not raw:
            return raw
        dotted = [key for key in raw if "." in str(key)]
        if _is_short(raw):
            raw = {"search": {"algorithm": "grid"}, "space": dict(raw)}
        elif dotted:
            raise ValueError(
                f"a dimension stands beside settings of the search, got {dotted[0]!r}. Put "
                "dimensions under sweep.space."
            )
        search = raw.get("search")
        algorithm = search.get("algorithm") if isinstance(search, Mapping) else None
        if algorithm == "grid" and "scheduler" not in raw:
            raw = {**raw, "scheduler": {"kind": "none"}}
        return raw

    @model_validator(mode="after")
    def _metric_is_a_validation_metric(self) -> Self:
        if parse_metric_name(self.metric).part != "val":
            raise ValueError(f"metric must be a validation metric (val/...), got {self.metric!r}")
        if self.search.algorithm == "grid" and self.num_trials is not None:
            raise ValueError(
                f"a grid runs all its points, got num_trials={self.num_trials}. Leave num_trials "
                "out, or search with tpe or random."
            )
        return self


class StudySettings(TrialSettings):
    """Settings of every trial, and the search over some of them."""

    sweep: SweepSettings = Field(description="The search.")

    @model_validator(mode="before")
    @classmethod
    def _one_metric(cls, raw: Any) -> Any:
        """Let trials watch the metric that the study compares.

        ``sweep.metric`` wins; where it is left out, a given ``training.monitor`` is taken.
        """
        sweep = raw.get("sweep") if isinstance(raw, Mapping) else None
        training = raw.get("training", {}) if isinstance(raw, Mapping) else None
        if not isinstance(sweep, Mapping) or not isinstance(training, Mapping):
            return raw
        metric = sweep.get("metric") or training.get("monitor") or _DEFAULT_METRIC
        if not isinstance(metric, str):
            return raw
        if _is_short(sweep):
            sweep = {"search": {"algorithm": "grid"}, "space": dict(sweep)}
        training, sweep = {**training, "monitor": metric}, {**sweep, "metric": metric}
        return {**raw, "training": training, "sweep": sweep}

    def base_trial(self) -> TrialSettings:
        """Return the settings of a trial in which nothing searched has been replaced yet."""
        return TrialSettings(**{name: getattr(self, name) for name in TrialSettings.model_fields})

    def search_space(self) -> Space:
        """Return the space, tried against the settings.

        Raises:
            SpaceError: A dimension is wrong; the message starts with its dotted key.
        """
        space = Space.parse(self.sweep.space).check(self.base_trial())
        space.data_points(self.base_trial())
        if self.sweep.search.algorithm == "grid":
            space.grid()
        return space

    def n_trials(self) -> int:
        """Return the number of trials; a grid has as many as points."""
        if self.sweep.search.algorithm == "grid":
            return len(self.search_space().grid())
        return self.sweep.num_trials or _DEFAULT_TRIALS

    def max_epochs(self) -> int:
        """Return the most epochs that a trial can train."""
        return int(self.search_space().largest("training.n_iter", self.base_trial()))


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
    if "sweep" not in apply_overrides(document.data, overrides):
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


def _is_short(sweep: Mapping[str, Any]) -> bool:
    """Whether a sweep section is a grid in the short form."""
    return bool(sweep) and all("." in str(key) for key in sweep)


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
