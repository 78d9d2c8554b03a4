"""How much training ASHA with TPE needs to find what a random search finds.

Once a random search runs all its trials without a scheduler, over the space and the epochs of the
shipped configuration; its best validation NDCG@10 is the target. Then ASHA with TPE searches the
same space for real, once with each seed, until it has reached the target or run all its trials. The
ratio is its training and evaluation seconds up to the report that reached the target, over all such
seconds of the random search. Seconds are those of the trials' own records, added up over all CPUs.
"""

import argparse
import math
import os
import statistics
from pathlib import Path
from typing import Any

import harness
import shapes
from environments import ROOT

BAR = 0.25
#: Nothing after the search, and no budget but the target.
COMMON = [
    "sweep.final.top=1",
    "sweep.final.seeds=1",
    "sweep.final.refit=none",
    "sweep.final.register_model=false",
    "sweep.budget.wall_s=null",
]


def search(dataset: str, overrides: list[str], options: Any) -> harness.Answer:
    """Run one study of a shipped configuration."""
    request = {
        "config": str(ROOT / "configs" / f"{dataset}.yaml"),
        "overrides": [*COMMON, f"sweep.num_trials={options.trials}", *overrides, *options.set],
        "cpus": options.cpus,
        "threads": 1,
        "seed": 0,
    }
    return harness.run_side("hbpr", "search", request)


def seconds_to(work: list[list[float]], target: float) -> float:
    """Training and evaluation seconds up to the first report that is as good; inf without one."""
    spent = 0.0
    for _, seconds, value in work:
        spent += seconds
        if value is not None and value >= target:
            return spent
    return math.inf


def compare(dataset: str, options: Any) -> dict[str, Any]:
    """The random search and all seeds of ASHA with TPE."""
    random = search(
        dataset,
        [
            "sweep.search.algorithm=random",
            f"sweep.search.seed={options.random_seed}",
            "sweep.scheduler.kind=none",
        ],
        options,
    )
    if "missing" in random:
        return random
    work = random["work"]
    target = max(value for *_, value in work if value is not None)
    whole = sum(seconds for _, seconds, _ in work)
    found: dict[str, Any] = {
        "target": target,
        "random_s": whole,
        "random_trials": len(random["ends"]),
        "random_seconds_to": seconds_to(work, target),
        "seeds": [],
    }
    harness.say(f"{dataset}, random: best {target:.4f} in {whole:.1f} s of training")
    for seed in range(1, options.seeds + 1):
        told = search(
            dataset,
            [
                "sweep.search.algorithm=tpe",
                f"sweep.search.seed={seed}",
                f"sweep.budget.target={target!r}",
            ],
            options,
        )
        if "missing" in told:
            return told
        needed = seconds_to(told["work"], target)
        run = {
            "seed": seed,
            "ratio": needed / whole if math.isfinite(needed) else None,
            "seconds": needed if math.isfinite(needed) else None,
            "spent_s": sum(seconds for _, seconds, _ in told["work"]),
            "best": max(value for *_, value in told["work"] if value is not None),
            "trials": len(told["ends"]),
        }
        found["seeds"].append(run)
        harness.say(f"{dataset}, ASHA + TPE: {run}")
    found["ratio"] = median_ratio(found)
    return found


def median_ratio(found: dict[str, Any]) -> float | None:
    """Median over the seeds; None where half of them did not reach the target."""
    ratios = [math.inf if run["ratio"] is None else run["ratio"] for run in found["seeds"]]
    middle = statistics.median(ratios)
    return middle if math.isfinite(middle) else None


def describe(dataset: str, found: dict[str, Any]) -> str:
    """Markdown: a row a seed."""
    if "missing" in found:
        return f"### {dataset}\n\nmissing: {found['missing']}"
    rows = [
        [
            f"seed {run['seed']}",
            "not reached" if run["ratio"] is None else f"{run['ratio']:.3f}",
            f"{run['seconds'] or run['spent_s']:.1f}",
            str(run["trials"]),
            f"{run['best']:.4f}",
        ]
        for run in found["seeds"]
    ]
    ratio = found["ratio"]
    middle = "not reached" if ratio is None else f"{ratio:.3f}"
    said = (
        f"Random search: {found['random_trials']} trials, best {found['target']:.4f} (first reached"
        f" after {found['random_seconds_to']:.1f} s), {found['random_s']:.1f} s of training and "
        f"evaluation in all. Median ratio of ASHA with TPE: **{middle}** (bar ≤ {BAR})."
    )
    header = [dataset, "ratio", "seconds", "trials started", "best seen"]
    return "\n\n".join([f"### {dataset}", said, harness.table(header, rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["ml-100k", "ml-1m"])
    parser.add_argument("--trials", type=int, default=64, help="of every search; default 64")
    parser.add_argument("--seeds", type=int, default=5, help="of ASHA with TPE; default 5")
    parser.add_argument("--random-seed", type=int, default=0, help="of the random search")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument("--set", action="append", default=[], help="more overrides of all studies")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    shapes.find_data_home()
    found = {dataset: compare(dataset, options) for dataset in options.datasets}
    text = "\n\n".join([__doc__.strip(), *(describe(name, told) for name, told in found.items())])
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "ASHA with TPE against random search", settings, found, text)


if __name__ == "__main__":
    main()
