"""A serial Optuna loop over hbpr's trainer, on one CPU, with nothing recorded."""

import time
from typing import Any

import optuna
import torch
from search_common import main
from search_model import METRIC, SPACE, data_of, settings_of

from hbpr.training import Trainer


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run the search."""
    torch.set_num_threads(1)
    data, ends, first = data_of(request), [], []

    def objective(trial: optuna.Trial) -> float:
        first.append(time.time())
        values = {key: trial.suggest_float(key, *bounds, log=True) for key, bounds in SPACE.items()}
        reports = list(Trainer(data, settings_of(request, values), threads=1))
        return max(report.metrics[METRIC] for report in reports if report.metrics)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=request["seed"])
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(
        objective,
        n_trials=request["trials"],
        callbacks=[lambda *_: ends.append(time.time())],
    )
    return {"first": first[0], "ends": ends, "best": study.best_value}


if __name__ == "__main__":
    main(search)
