"""From settings and data to a trained, recorded recommender: one run, or a grid of them."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hbpr.data import Interactions, UserItemData, load_data
from hbpr.errors import ConfigError
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.load import resolve_paths
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import describe
from hbpr.settings.start import good_start
from hbpr.tracking import run_log
from hbpr.tracking import tags as tag
from hbpr.tracking.about import about
from hbpr.training import EpochReport, Trainer

if TYPE_CHECKING:
    from tune.study import StudyResult

_log = logging.getLogger(__name__)


class TrainingPipeline:
    """Train, evaluate and record recommenders from one set of settings.

    Args:
        config: Settings as a nested dictionary, such as `create_default_config` returns, or as
            `TrialSettings`; None for the defaults.

    Raises:
        ConfigError: A key is unknown or a value breaks its rule.

    Example:
        >>> config = TrainingPipeline.create_default_config()
        >>> config["model"]["n_latent"] = 32
        >>> TrainingPipeline(config).settings.model.n_latent
        32
    """

    def __init__(self, config: Mapping[str, Any] | TrialSettings | None = None) -> None:
        if not isinstance(config, TrialSettings):
            try:
                config = TrialSettings.model_validate(config or {})
            except ValidationError as error:
                raise ConfigError(describe(error, TrialSettings, lambda key: key)) from None
        self.settings = resolve_paths(config)

    @staticmethod
    def create_default_config() -> dict[str, Any]:
        """Return settings that rank well without a search, all of them, to change.

        Where a setting is left out of a dictionary or a file, its own default holds instead.
        """
        return good_start().model_dump(mode="json")

    def run(
        self,
        data: UserItemData | Interactions | None = None,
        *,
        on_epoch: Callable[[EpochReport], None] | None = None,
    ) -> RecommendationSystem:
        """Train one model, and record it and the model as one MLflow run.

        Early stopping and the choice of the best epoch look at the validation part. The test part
        is scored once, for the best epoch's model.

        Args:
            data: Interactions to learn from; None reads what ``data`` in the settings names.
            on_epoch: Called with every epoch's report.

        Returns:
            The best epoch's model with everything it needs to recommend; its `metrics` hold the
            validation metrics of that epoch and the test metrics.

        Raises:
            DataError: The data are missing or wrong.
            TrackingError: MLflow cannot be used.
            DivergedError: The loss is no longer a finite number.
        """
        interactions = self._interactions(data)
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
            if interactions.test.n_pairs:
                system.metrics |= system.evaluate("test")
                run.log_metrics(
                    {k: v for k, v in system.metrics.items() if k.startswith("test/")},
                    step=trainer.best_epoch,
                )
            run.log_model(system)
        return system

    def run_grid_search(
        self,
        data: UserItemData | Interactions | None = None,
        param_grid: Mapping[str, Sequence[Any]] | None = None,
        num_processes: int | None = None,
    ) -> "StudyResult":
        """Try every combination of some settings, in parallel on a private Ray.

        Args:
            data: Interactions to learn from; None reads what ``data`` in the settings names.
            param_grid: Values by dotted key, such as ``{"model.n_latent": [32, 64]}``.
            num_processes: Trials at a time, at most as many as there are CPUs; None: that many.

        Returns:
            The study: its trials, the best one, and the recommender refitted with it.

        Raises:
            SpaceError: A key is unknown or a value breaks its rule.
        """
        from tune.settings import StudySettings
        from tune.study import run_study

        if not param_grid:
            raise ConfigError(
                "param_grid: expected at least one dotted key with values, "
                'for example {"optimizer.lr": [0.01, 0.1]}'
            )
        cpus = os.cpu_count() or 1
        sweep: dict[str, Any] = {
            "search": {"algorithm": "grid"},
            "metric": self.settings.training.monitor,
            "scheduler": {"kind": "none"},
            "space": {key: list(values) for key, values in param_grid.items()},
            "max_concurrent": cpus if num_processes is None else min(num_processes, cpus),
        }
        try:
            study = StudySettings.model_validate({**self.settings.model_dump(), "sweep": sweep})
        except ValidationError as error:
            raise ConfigError(describe(error, StudySettings, lambda key: key)) from None
        return run_study(study, data=None if data is None else self._interactions(data))

    def _interactions(self, data: UserItemData | Interactions | None) -> Interactions:
        if isinstance(data, UserItemData):
            return data.to_interactions()
        return load_data(self.settings.data) if data is None else data
