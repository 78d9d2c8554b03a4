"""How much training ASHA with TPE needs to find what a random search finds.

For each seed, a random search runs all its trials without a scheduler, over the space and the
epochs of the shipped configuration; its best validation NDCG@10 is the target. Then ASHA with TPE
searches the same space with the same seed until it has reached the target or spent half of what the
random search spent, however many trials that is: once as the configuration has it, which starts
with points that were found on other data, and once knowing nothing. The ratio is its training
seconds up to the report that reached the target, over all training seconds of the random search;
beside it stands the same with the seconds of evaluation, of which early stopping needs more.
Seconds are those of the trials' own records, added up over all CPUs.
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
#: Share of the random search's seconds after which the other search ends without the target.
LIMIT = 0.5
RATIOS = ("training_ratio", "ratio")
NOTHING = "sweep.start_with=[]"
#: What the searches of ASHA with TPE start with.
STARTS = {"as shipped": [], "knowing nothing": [NOTHING]}
#: Trials of ASHA with TPE, more than its seconds allow.
MOST_TRIALS = 2_000
#: Nothing after the search, and no limit of wall-clock time.
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
        "overrides": [*COMMON, *overrides, *options.set],
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
    """All pairs of a random search and those by ASHA with TPE."""
    pairs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        pair = compare_pair(dataset, seed, options)
        if "missing" in pair:
            return pair
        harness.say(f"{dataset}: {pair}")
        pairs.append(pair)
    medians = {
        start: {name: median_ratio([pair[start] for pair in pairs], name) for name in RATIOS}
        for start in STARTS
    }
    return {"pairs": pairs, "medians": medians}


def compare_pair(dataset: str, seed: int, options: Any) -> dict[str, Any]:
    """One random search, and ASHA with TPE until it is as good or has spent half as much."""
    common = [f"sweep.search.seed={seed}"]
    random = search(
        dataset,
        [
            *common,
            NOTHING,
            "sweep.search.algorithm=random",
            "sweep.scheduler.kind=none",
            f"sweep.num_trials={options.trials}",
        ],
        options,
    )
    if "missing" in random:
        return random
    target, whole = best_of(random["work"]), spent(random["work"])
    pair = {
        "seed": seed,
        "target": target,
        "random_s": whole,
        "random_seconds_to": seconds_to(random["work"], target),
    }
    for start, overrides in STARTS.items():
        told = search(
            dataset,
            [
                *common,
                *overrides,
                "sweep.search.algorithm=tpe",
                f"sweep.num_trials={MOST_TRIALS}",
                f"sweep.budget.target={target!r}",
                f"sweep.budget.train_s={LIMIT * whole!r}",
            ],
            options,
        )
        if "missing" in told:
            return told
        pair[start] = against(random, told)
    return pair


def against(random: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """How soon a search was as good as a random one; None where it never was."""
    target, whole = best_of(random["work"]), spent(random["work"])
    needed = seconds_to(told["work"], target)
    trained = seconds_to(training(told), target) / spent(training(random))
    return {
        "training_ratio": trained if math.isfinite(trained) else None,
        "ratio": needed / whole if math.isfinite(needed) else None,
        "seconds": needed if math.isfinite(needed) else None,
        "spent_s": spent(told["work"]),
        "best": best_of(told["work"]),
        "best_at_a_quarter": best_of(told["work"], within_s=BAR * whole),
        "trials": len(told["ends"]),
    }


def training(found: dict[str, Any]) -> list[list[float]]:
    """The work of a search, with the seconds of training alone."""
    return [
        [at, seconds, value]
        for (at, _, value), seconds in zip(found["work"], found["train"], strict=True)
    ]


def best_of(work: list[list[float]], within_s: float = math.inf) -> float:
    """The best value, of those reported within so many seconds of training and evaluation."""
    best, so_far = -math.inf, 0.0
    for _, seconds, value in work:
        so_far += seconds
        if value is not None and so_far <= within_s:
            best = max(best, value)
    return best


def spent(work: list[list[float]]) -> float:
    """Seconds of training and evaluation."""
    return sum(seconds for _, seconds, _ in work)


def median_ratio(pairs: list[dict[str, Any]], name: str) -> float | None:
    """Median over the seeds; None where half of them did not reach the target."""
    ratios = [math.inf if pair[name] is None else pair[name] for pair in pairs]
    middle = statistics.median(ratios)
    return middle if math.isfinite(middle) else None


def describe(dataset: str, found: dict[str, Any]) -> str:
    """Markdown: a row a seed."""
    if "missing" in found:
        return f"### {dataset}\n\nmissing: {found['missing']}"
    rows = [
        [
            str(pair["seed"]),
            f"{pair['target']:.4f}",
            f"{pair['random_s']:.1f}",
            start,
            *(shown(pair[start][name]) for name in RATIOS),
            f"{pair[start]['best_at_a_quarter']:.4f}",
            f"{pair[start]['best']:.4f}",
            str(pair[start]["trials"]),
        ]
        for pair in found["pairs"]
        for start in STARTS
    ]
    said = "; ".join(
        f"{start} **{shown(medians['training_ratio'])}** of training seconds (bar ≤ {BAR}), "
        f"{shown(medians['ratio'])} with evaluation"
        for start, medians in found["medians"].items()
    )
    header = [
        "seed",
        "random: best",
        "random: s",
        "ASHA + TPE",
        "training",
        "with evaluation",
        f"best at {BAR:g} of random's s",
        "best",
        "trials started",
    ]
    return "\n\n".join(
        [f"### {dataset}", f"Median ratio of ASHA with TPE: {said}.", harness.table(header, rows)]
    )


def shown(ratio: float | None) -> str:
    """A ratio in words."""
    return f"> {LIMIT:g}" if ratio is None else f"{ratio:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["ml-100k", "ml-1m"])
    parser.add_argument("--trials", type=int, default=64, help="of a random search; default 64")
    parser.add_argument("--seeds", type=int, default=5, help="pairs of searches; default 5")
    parser.add_argument("--first-seed", type=int, default=1, help="default 1")
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
