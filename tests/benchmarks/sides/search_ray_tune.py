"""Plain Ray Tune: hbpr's trainer in a function, Ray's own Optuna search and MLflow callback."""

import time
from pathlib import Path
from typing import Any

import ray
from ray import tune as ray_tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch
from search_common import main
from search_model import METRIC, SPACE, data_of, settings_of

from hbpr.training import Trainer


class Clock(ray_tune.Callback):
    """Note when trials begin and end."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.begins.append(time.time())

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.ends.append(time.time())


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run the search."""

    def trial(config: dict[str, Any], data: Any) -> None:
        import torch

        torch.set_num_threads(1)
        for report in Trainer(data, settings_of(request, config), threads=1):
            if report.metrics:
                ray_tune.report({**report.metrics, "epoch": report.epoch})

    ray.init(num_cpus=request["cpus"], include_dashboard=False, log_to_driver=False)
    clock = Clock()
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    found = ray_tune.Tuner(
        ray_tune.with_resources(ray_tune.with_parameters(trial, data=data_of(request)), {"cpu": 1}),
        param_space={key: ray_tune.loguniform(*bounds) for key, bounds in SPACE.items()},
        tune_config=ray_tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=OptunaSearch(seed=request["seed"]),
            num_samples=request["trials"],
            max_concurrent_trials=request["cpus"],
        ),
        run_config=ray_tune.RunConfig(
            storage_path=str(Path.cwd() / "results"),
            verbose=0,
            callbacks=[
                clock,
                MLflowLoggerCallback(tracking_uri=uri, experiment_name="speed"),
            ],
        ),
    ).fit()
    if found.errors:
        raise found.errors[0]
    return {
        "first": clock.begins[0],
        "ends": clock.ends,
        "best": found.get_best_result(METRIC, "max", scope="all").metrics[METRIC],
    }


if __name__ == "__main__":
    main(search)
