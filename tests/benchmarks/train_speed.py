"""Triples a second of training: hbpr and its peers in turn, each in a process of its own.

A triple is a training positive that was visited with one negative drawn. Not timed: imports,
conversion of the data, compilation, and the first epoch. implicit and cornac skip a triple whose
negative is a known positive; it counts for them all the same.
"""

import argparse
from pathlib import Path
from typing import Any

import harness
import shapes

from hbpr.errors import HbprError

D = 64
SGD = {"name": "sgd", "lr": 0.05}
ADAGRAD = {"name": "adagrad", "lr": 0.05}
#: RecBole's BPR has no regularisation.
ADAM = {"name": "adam", "lr": 0.001, "reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0}


def _hbpr(optimizer: dict[str, Any], engine: str) -> dict[str, Any]:
    training = {"engine": engine, "batch_size": 4096, "device": "cpu"}
    return {"model": {"n_latent": D}, "optimizer": optimizer, "training": training}


#: By name: library, settings, and whether it trains on features.
SIDES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "hbpr fused sgd": ("hbpr", _hbpr(SGD, "fused"), False),
    "implicit": ("implicit", {"d": D, "lr": 0.05, "reg": 0.01}, False),
    "cornac": ("cornac", {"d": D, "lr": 0.05, "reg": 0.01}, False),
    "hbpr fused adagrad": ("hbpr", _hbpr(ADAGRAD, "fused"), False),
    "LightFM": ("lightfm", {"d": D, "lr": 0.05, "user_alpha": 1e-6, "item_alpha": 1e-6}, False),
    "hbpr fused adagrad, features": ("hbpr", _hbpr(ADAGRAD, "fused"), True),
    "LightFM, features": (
        "lightfm", {"d": D, "lr": 0.05, "user_alpha": 1e-6, "item_alpha": 1e-6}, True,
    ),
    "hbpr autograd adam": ("hbpr", _hbpr(ADAM, "autograd"), False),
    "RecBole": ("recbole", {"d": D, "lr": 0.001, "batch_size": 4096}, False),
}  # fmt: skip
#: Shapes that a side is not run on, and why.
LEFT_OUT = {
    ("RecBole", "large"): "it keeps 11 million interactions in text and in Python sets",
    ("hbpr fused adagrad, features", "large"): "the generated shape has no features",
    ("LightFM, features", "large"): "the generated shape has no features",
}


def measure(dataset: str, sides: list[str], threads: list[int], pairs: int, seconds: float) -> Any:
    """Run the sides in turn on one dataset; answers by threads and side."""
    found: dict[str, Any] = {}
    for n in threads:
        requests = {}
        for name in sides:
            library, settings, features = SIDES[name]
            if (name, dataset) in LEFT_OUT or (features and dataset == "tiny"):
                continue
            path = shapes.prepare(dataset, features=features)
            requests[name] = (
                library,
                "speed",
                {"data": str(path), "settings": settings, "threads": n, "seconds": seconds},
            )
        found[str(n)] = harness.alternate(requests, pairs)
        harness.say(f"{dataset}, {n} thread{'s'[: n > 1]}: done")
    return found


def ratios(found: Any) -> list[tuple[str, list[float], list[float]]]:
    """The comparisons that matter: name, wall-clock ratios and CPU ratios, pair by pair."""
    rows = []

    def compare(title: str, ours: list[Any], theirs: list[list[Any]]) -> None:
        both = []
        for key in ("triples_per_s", "triples_per_cpu_s"):
            runs = [harness.values(answers, key) for answers in theirs if answers]
            runs = [run for run in runs if run]
            best = [max(run) for run in zip(*runs, strict=True)]
            both.append(harness.ratios(harness.values(ours, key), best))
        if both[0]:
            rows.append((title, both[0], both[1]))

    for n, answers in found.items():
        get = answers.get
        for title, ours, theirs in (
            ("fused sgd / fastest of implicit, cornac", "hbpr fused sgd", ("implicit", "cornac")),
            ("fused adagrad / LightFM", "hbpr fused adagrad", ("LightFM",)),
            (
                "fused, features / LightFM, features",
                "hbpr fused adagrad, features",
                ("LightFM, features",),
            ),
            ("autograd / RecBole", "hbpr autograd adam", ("RecBole",)),
        ):
            if get(ours):
                compare(f"{title}, threads: {n}", get(ours), [get(name, []) for name in theirs])
    if {"1", "2"} <= set(found) and "hbpr fused sgd" in found["1"]:
        one, two = (found[n]["hbpr fused sgd"] for n in ("1", "2"))
        compare("fused sgd: two threads / one thread", two, [one])
    return rows


def describe(dataset: str, found: Any) -> str:
    """Markdown of one dataset."""
    rows, missing = [], []
    for n, sides in found.items():
        for name, answers in sides.items():
            speeds = harness.values(answers, "triples_per_s")
            if not speeds:
                missing.append(f"- **{name}** (threads: {n}) is missing: {answers[-1]['missing']}")
                continue
            cpu = harness.median(harness.values(answers, "triples_per_cpu_s"))
            peak = harness.median(harness.values(answers, "peak_bytes"))
            base = harness.median(harness.values(answers, "base_bytes"))
            rows.append(
                [
                    f"{name}",
                    n,
                    f"{harness.median(speeds) / 1e6:.2f}",
                    harness.listed([speed / 1e6 for speed in speeds]),
                    f"{cpu / 1e6:.2f}",
                    f"{peak / 2**20:.0f} ({(peak - base) / 2**20:.0f})",
                ]
            )
    header = [
        dataset,
        "threads",
        "M triples/s, median",
        "all runs",
        "M triples per CPU second",
        "peak MiB (above imports)",
    ]
    compared = [
        [title, f"{harness.median(wall):.2f}", harness.listed(wall), f"{harness.median(cpu):.2f}"]
        for title, wall, cpu in ratios(found)
    ]
    left_out = [
        f"- {name} is not run: {why}" for (name, on), why in LEFT_OUT.items() if on == dataset
    ]
    return "\n\n".join(
        part
        for part in (
            f"### {dataset}",
            harness.table(header, rows),
            harness.table(["ratio", "median", "pair by pair", "by CPU seconds"], compared),
            "\n".join(missing + left_out),
        )
        if part
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", choices=shapes.NAMES, default=shapes.NAMES[1:])
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--pairs", type=int, default=3, help="rounds; default 3")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed at least, a run; 2")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    found, texts = {}, [__doc__.split("\n\n", 1)[1].strip()]
    for dataset in options.datasets:
        try:
            found[dataset] = measure(
                dataset, options.sides, options.threads, options.pairs, options.seconds
            )
        except HbprError as error:
            texts.append(f"### {dataset}\n\nNot run: {error}")
            continue
        texts.append(describe(dataset, found[dataset]))
    settings = {
        "d": D,
        "pairs": options.pairs,
        "seconds": options.seconds,
        "sides": {name: SIDES[name][1] for name in options.sides},
    }
    harness.write(options.output, "Training speed", settings, found, "\n\n".join(texts))


if __name__ == "__main__":
    main()
