"""From settings and data to a trained, recorded recommender: one run, or a grid of them."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from hbpr.data import Interactions, load_data
from hbpr.data.given import as_interactions
from hbpr.data.parts import can_be_ranked, check_ranked
from hbpr.errors import ConfigError
from hbpr.hidden import check_not_hidden
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.changed_kind import without_leftovers
from hbpr.settings.load import resolve_paths, validate
from hbpr.settings.models import TrialSettings
from hbpr.settings.start import good_start
from hbpr.settings.yaml import Document, load_yaml
from hbpr.tracking import run_log
from hbpr.tracking import tags as tag
from hbpr.tracking.about import about
from hbpr.training import EpochReport, Trainer

if TYPE_CHECKING:
    from tune.api.study import Study

_log = logging.getLogger(__name__)


class TrainingPipeline:
    """Train, evaluate and record recommenders from one set of settings, or search for better ones.

    Args:
        config: Settings as a nested dictionary, such as `create_default_config` returns, as
            `TrialSettings`, or the path of a YAML file; None for the defaults. A ``sweep`` section
            is what ``run(..., sweep=True)`` searches.

    Attributes:
        settings: Those of one training run.

    Raises:
        ConfigError: A key is unknown or a value breaks its rule.
        SpaceError: A dimension of the ``sweep`` section is wrong.

    Example:
        >>> config = TrainingPipeline.create_default_config()
        >>> config["model"]["n_latent"] = 32
        >>> TrainingPipeline(config).settings.model.n_latent
        32
    """

    def __init__(
        self, config: Mapping[str, Any] | TrialSettings | str | Path | None = None
    ) -> None:
        document = _document(config)
        trial = {key: value for key, value in document.data.items() if key != "sweep"}
        plain = Document(trial, document.path, document.lines)
        self.settings = resolve_paths(validate(TrialSettings, plain))
        self._document: Final = document
        if "sweep" in document.data:
            from tune.api.search import plan_search

            plan_search(document, {})  # which refuses what is wrong, before data are read

    @staticmethod
    def create_default_config() -> dict[str, Any]:
        """Return settings that rank well without a search, all of them, to change.

        Where another kind is set, such as of the model, what only the old one has may stay: as long
        as it is unchanged, `TrainingPipeline` leaves it out.

        Where a setting is left out of a dictionary or a file, its own default holds instead.
        """
        return good_start().model_dump(mode="json")

    @overload
    def run(
        self,
        data: Any = None,
        *,
        on_epoch: Callable[[EpochReport], None] | None = None,
        sweep: Literal[False] = False,
    ) -> RecommendationSystem: ...

    @overload
    def run(self, data: Any = None, *, sweep: Literal[True]) -> "Study": ...

    def run(
        self,
        data: Any = None,
        *,
        on_epoch: Callable[[EpochReport], None] | None = None,
        sweep: bool = False,
    ) -> "RecommendationSystem | Study":
        """Train one model, and record it and the model as one MLflow run; or search.

        Early stopping and the choice of the best epoch look at the validation part. The test part
        is scored once, for the best epoch's model.

        Args:
            data: Interactions to learn from: a data frame, `UserItemData` or `Interactions`; None
                reads what ``data`` in the settings names.
            on_epoch: Called with every epoch's report.
            sweep: Search as the ``sweep`` section of the settings says, see `hbpr.search`.

        Returns:
            The best epoch's model with everything it needs to recommend; its `metrics` hold the
            validation metrics of that epoch and the test metrics. With `sweep` the study.

        Raises:
            DataError: The data are missing or wrong.
            TrackingError: MLflow cannot be used.
            DivergedError: The loss is no longer a finite number.
            ConfigError: There is no ``sweep`` section to search.
        """
        if sweep:
            return self._search(data, on_epoch)
        interactions = self._interactions(data)
        check_ranked(interactions, "validation")
        trainer = Trainer(interactions, self.settings, threads=self.settings.training.threads)
        _log.info("engine %s: %s", trainer.engine_name, trainer.engine_reason)
        known = about([interactions])
        with run_log.start_run(
            self.settings.mlflow.tracking_uri,
            self.settings.mlflow.experiment_name,
            run_name=interactions.name,
            params=run_log.flatten_settings(self.settings),
            tags={
                tag.KIND: "train",
                **known.tags,
                tag.LEFT_OUT: dict(interactions.left_out),
                tag.ENGINE: trainer.engine_name,
            },
            dataset=known.dataset,
        ) as run:
            best: dict[str, float] = {}
            for report in trainer:
                run.log_metrics(report.as_result(), step=report.epoch)
                if report.is_best:
                    best = report.metrics
                if on_epoch is not None:
                    on_epoch(report)
            system = RecommendationSystem(trainer.best_model(), interactions, self.settings, best)
            if can_be_ranked(interactions, "test"):
                system.metrics |= system.evaluate("test")
                run.log_metrics(
                    {k: v for k, v in system.metrics.items() if k.startswith("test/")},
                    step=trainer.best_epoch,
                )
            run.log_model(system)
        return system

    def _search(self, data: Any, on_epoch: Callable[[EpochReport], None] | None) -> "Study":
        from tune.api.search import search

        if "sweep" not in self._document.data:
            raise ConfigError(
                "run(sweep=True): the settings have no sweep section, so there is nothing to "
                'search; add one, such as config["sweep"] = {"optimizer.lr": [0.01, 0.05]}'
            )
        if on_epoch is not None:
            raise ConfigError(
                "run: on_epoch hears of one training; for trials use hbpr.search(callbacks=...)"
            )
        return search(data, base=self._document)

    def run_grid_search(
        self,
        data: Any = None,
        param_grid: Mapping[str, Sequence[Any]] | None = None,
        num_processes: int | None = None,
    ) -> "Study":
        """Try every combination of some settings, in parallel on a private Ray.

        Args:
            data: As for `run`.
            param_grid: Values by dotted key, such as ``{"model.n_latent": [32, 64]}``.
            num_processes: Trials at a time, at most as many as there are CPUs; None: that many.

        Returns:
            The study: its trials, the best one, and the recommender refitted with it.

        Raises:
            SpaceError: A key is unknown or a value breaks its rule.
        """
        check_not_hidden("tune")
        from tune.api.search import search

        if not param_grid:
            raise ConfigError(
                "param_grid: expected at least one dotted key with values, "
                'for example {"optimizer.lr": [0.01, 0.1]}'
            )
        cpus = os.cpu_count() or 1
        return search(
            data,
            base=self.settings,
            search="grid",
            metric=self.settings.training.monitor,
            scheduler="none",
            space={key: list(values) for key, values in param_grid.items()},
            max_concurrent=cpus if num_processes is None else min(num_processes, cpus),
        )

    def _interactions(self, data: Any) -> Interactions:
        if data is None:
            return load_data(self.settings.data)
        return as_interactions(data, self.settings.data)


def _document(config: Mapping[str, Any] | TrialSettings | str | Path | None) -> Document:
    if isinstance(config, str | Path):
        return load_yaml(config)
    if isinstance(config, TrialSettings):
        return Document(config.model_dump(), Path(), {})
    return Document(without_leftovers(config or {}, good_start()), Path(), {})
