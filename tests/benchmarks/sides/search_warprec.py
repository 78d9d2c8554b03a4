"""WarpRec's side: its training pipeline, Optuna over its BPR, recorded by its MLflow callback."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
import yaml
from common import Data
from search_common import TOP_K, main
from warprec.pipelines import train_pipeline


def write_split(data: Data, folder: Path) -> None:
    """Write the split in its format."""
    folder.mkdir()
    for part, name in {"train": "train", "validation": "validation", "test": "test"}.items():
        pairs = np.column_stack(data.pairs(part))
        header = "user_id\titem_id"
        np.savetxt(folder / f"{name}.tsv", pairs, "%d", "\t", header=header, comments="")


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run the pipeline, and read when its trials began and ended."""
    settings, folder = request["settings"], Path.cwd()
    write_split(Data(request["data"]), folder / "split")
    config = {
        "general": {"device": "cpu", "ray_verbose": 0, "time_report": False},
        "reader": {
            "loading_strategy": "split",
            "data_type": "transaction",
            "reading_method": "local",
            "rating_type": "implicit",
            "split": {"local_path": str(folder / "split")},
        },
        "writer": {
            "dataset_name": "bench",
            "writing_method": "local",
            "local_experiment_path": "out",
        },
        "dashboard": {
            "mlflow": {
                "enabled": True,
                "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
                "registry_uri": f"sqlite:///{folder / 'mlflow.db'}",
                "experiment_name": "speed",
            }
        },
        "evaluation": {
            "top_k": TOP_K,
            "metrics": ["nDCG", "Precision", "Recall", "HitRate", "MRR", "MAP"],
            "validation_metric": "nDCG@10",
        },
        "models": {
            "BPR": {
                "embedding_size": settings["d"],
                "epochs": settings["epochs"],
                "batch_size": settings["batch_size"],
                "learning_rate": ["loguniform", 1e-4, 0.05],
                "reg_weight": ["loguniform", 1e-7, 1e-4],
                "optimization": {
                    "strategy": "optuna",
                    "num_samples": request["trials"],
                    "eval_every_n": settings["eval_every"],
                    "cpu_per_trial": 1,
                    "max_concurrent_trials": request["cpus"],
                    "num_workers": 0,
                    "checkpoint_to_keep": 1,
                    "properties": {"mode": "max", "seed": request["seed"]},
                },
            }
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    # Its trials need a share of a CPU beside their own. It wants to join a Ray that runs: this one.
    ray.init(num_cpus=request["cpus"] + 1, include_dashboard=False, log_to_driver=False)
    ray.init = lambda **_: None
    train_pipeline(str(folder / "config.yaml"))
    first, ends, best = [], [], []
    for path in (folder / "out").rglob("result.json"):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        if not lines:
            continue
        ends.append(float(lines[-1]["timestamp"]))
        first.append(lines[0]["timestamp"] - lines[0]["time_total_s"])
        best += [line["nDCG@10"] for line in lines]
    return {"first": min(first), "ends": sorted(ends), "best": max(best)}


if __name__ == "__main__":
    main(search)
