"""Find the points of the portfolio: what a search finds on each data set, knowing nothing before.

Each data set is searched as the shipped configuration says, without starting points, with several
seeds; the winner of a search is the finalist with the best mean validation NDCG@10 over three other
seeds. No test part is scored. Prints the winners, with two digits, for
``tune/warm_start/portfolio.py``.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import harness
import shapes
import yaml
from environments import ROOT

from hbpr.settings.yaml import load_yaml
from tune.settings import StudySettings
from tune.study import run_study

CONFIGS: Final = ROOT / "configs"


def settings_of(dataset: str, seed: int, n_trials: int, storage: Path) -> StudySettings:
    """The study that searches a data set."""
    raw = dict(load_yaml(CONFIGS / f"{dataset}.yaml").data)
    raw["mlflow"] = {"experiment_name": dataset, "tracking_uri": f"sqlite:///{storage}/mlflow.db"}
    raw["sweep"] |= {
        "search": {"algorithm": "tpe", "seed": seed},
        "num_trials": n_trials,
        "start_with": [],
        "storage": str(storage / "studies"),
        "final": {"top": 5, "seeds": 3, "refit": "none", "register_model": False},
        "budget": {},
    }
    return StudySettings.model_validate(raw)


def rounded(value: Any) -> Any:
    """A value with two digits, where it is a real number."""
    return float(f"{value:.2g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["ml-1m", "ml-100k"])
    parser.add_argument("--seeds", type=int, default=2, help="searches of each; default 2")
    parser.add_argument("--trials", type=int, default=400, help="of each search; default 400")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="default: all")
    options = parser.parse_args()
    shapes.find_data_home()
    for dataset in options.datasets:
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                settings = settings_of(dataset, seed, options.trials, Path(folder))
                best = run_study(settings, cpus=options.cpus, progress=False).best
            point = {key: rounded(value) for key, value in best.values.items()}
            harness.say(f"{dataset}, seed {seed}: {best.value:.4f}\n{yaml.safe_dump(point)}")


if __name__ == "__main__":
    main()
