"""Whether a search finds something better than the good point that it begins with, by scheduler.

Whole studies of ml-100k over a wide space, as ``hbpr tune`` runs them: the first trial is a good
point (not the best: without a scheduler three to six of the 23 others are better), the others are
drawn. Every seed runs a study with each scheduler in turn. Noted are the start's value, the best of
all, how many trials went no further than the first rung, and seconds from the first to the last.
"""

import argparse
import math
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import harness
import shapes
import yaml
from asha_vs_random import COMMON
from environments import ROOT

SPACE = {
    "model.n_latent": [32, 64, 128, 256, 384],
    "model.temperature": {"low": 0.08, "high": 0.5, "log": True},
    "optimizer.lr": {"low": 0.003, "high": 0.2, "log": True},
    "training.negatives.observed_weight": {"low": 0.5, "high": 10.0, "log": True},
    "training.negatives.top_weight": [0, 20],
}
START = {
    "model.n_latent": 128,
    "model.temperature": 0.25,
    "optimizer.lr": 0.02,
    "training.negatives.observed_weight": 1.5,
    "training.negatives.top_weight": 0,
}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "asha, rungs at 8, 24 (as shipped)": {"kind": "asha", "grace_period": 8, "reduction_factor": 3},
    "asha, rungs at 16, 48": {"kind": "asha", "grace_period": 16, "reduction_factor": 3},
    "asha, rungs at 8, 16, 32": {"kind": "asha", "grace_period": 8, "reduction_factor": 2},
    "median rule after 8": {"kind": "median", "grace_period": 8},
    "none": {"kind": "none"},
}


def study(scheduler: dict[str, Any], seed: int, options: Any) -> dict[str, Any]:
    """Run one study; return what its trials reported."""
    settings = yaml.safe_load((ROOT / "configs" / "ml-100k.yaml").read_text())
    settings["sweep"] |= {
        "space": SPACE,
        "start_with": [START],
        "scheduler": scheduler,
        "num_trials": options.trials,
        "search": {"algorithm": options.algorithm, "seed": seed},
    }
    settings["training"]["n_iter"] = options.epochs
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "study.yaml"
        config.write_text(yaml.safe_dump(settings))
        request = {"config": str(config), "overrides": COMMON, "cpus": options.cpus}
        told = harness.run_side("hbpr", "search", request | {"threads": 1, "seed": seed})
    if "missing" in told:
        return told
    reports = Counter(told["trials"])
    first = scheduler.get("grace_period", 0) // settings["training"]["eval_every"]
    best = dict.fromkeys(reports, -math.inf)
    for number, (_, _, value) in zip(told["trials"], told["work"], strict=True):
        best[number] = max(best[number], value)
    return {
        "start": best[0],
        "best": max(best.values()),
        "better": sum(value > best[0] for value in best.values()),
        "first_rung": sum(count <= first for count in reports.values()),
        "seconds": told["ends"][-1] - told["first"],
    }


def describe(found: dict[str, Any]) -> str:
    """Markdown: a row a scheduler, over the seeds."""
    rows = []
    for name, studies in found.items():
        values = [each["best"] for each in studies]
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        above = sum(each["best"] > each["start"] for each in studies)
        means = [
            statistics.mean(each[key] for each in studies)
            for key in ("better", "first_rung", "seconds")
        ]
        rows.append(
            [name, f"{above} of {len(studies)}", f"{statistics.mean(values):.4f}{spread}"]
            + [f"{mean:.1f}" for mean in means]
        )
    header = ["scheduler", "studies above their start", "best validation NDCG@10"]
    header += ["trials above it", "trials no further than the first rung", "seconds"]
    start = statistics.mean(each["start"] for studies in found.values() for each in studies)
    return f"The start has {start:.4f}.\n\n" + harness.table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24, help="of a study; default 24")
    parser.add_argument("--epochs", type=int, default=60, help="of a trial at most; default 60")
    parser.add_argument("--seeds", type=int, default=3, help="studies a scheduler; default 3")
    parser.add_argument("--algorithm", choices=["tpe", "random"], default="tpe")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    shapes.find_data_home()
    found: dict[str, Any] = {name: [] for name in SCHEDULERS}
    for seed in range(1, options.seeds + 1):
        for name, scheduler in SCHEDULERS.items():
            told = study(scheduler, seed, options)
            harness.say(f"seed {seed}, {name}: {told}")
            if "missing" in told:
                return
            found[name].append(told)
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    text = "\n\n".join([__doc__.strip(), describe(found)])
    harness.write(options.output, "Schedulers beside a start", settings, found, text)


if __name__ == "__main__":
    main()
