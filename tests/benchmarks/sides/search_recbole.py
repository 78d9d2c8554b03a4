"""RecBole's side: its HyperTuning (hyperopt's TPE) over its BPR, with its own objective function.

That function ends by reporting to Ray, scores the test part and writes checkpoints; all three are
left out here. Trials run one after another, so torch is given all CPUs.
"""

import time
from typing import Any

import torch
from common import Data
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import HyperTuning, Trainer
from recbole.utils import init_seed
from run_recbole import configure, write_split
from search_common import main


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run the search."""
    torch.set_num_threads(request["cpus"])
    data, settings = Data(request["data"]), request["settings"]
    write_split(data)
    first, ends = [], []

    def objective(values: dict[str, float], _files: Any = None) -> dict[str, Any]:
        first.append(time.time())
        config = configure(
            data,
            {**settings, "seed": request["seed"]},
            epochs=settings["epochs"],
            eval_step=settings["eval_every"],
            stopping_step=10**6,
            **values,
        )
        init_seed(config["seed"], config["reproducibility"])
        loaders = data_preparation(config, create_dataset(config))
        model = BPR(config, loaders[0].dataset)
        score, found = Trainer(config, model).fit(
            loaders[0], loaders[1], verbose=False, saved=False
        )
        ends.append(time.time())
        return {
            "model": "BPR",
            "best_valid_score": score,
            "valid_score_bigger": True,
            "best_valid_result": found,
            "test_result": {},
        }

    space = {"loguniform": {"learning_rate": (-9.2, -3.0), "weight_decay": (-16.0, -9.0)}}
    tuning = HyperTuning(
        objective,
        params_dict=space,
        algo="bayes",
        max_evals=request["trials"],
        early_stop=10**6,
    )
    tuning.run()
    return {"first": first[0], "ends": ends, "best": tuning.best_score}


if __name__ == "__main__":
    main(search)
