"""Seconds of one evaluation of the test part over the whole catalogue, one thread, same vectors.

Every user with a test item is ranked against all items but those of train and validation. hbpr
gives AUC, MRR, and NDCG, precision, recall, hit rate and MAP at 10 and at 20 in one pass; implicit
gives precision, MAP, NDCG and AUC at 10 alone; RecBole gives its six metrics at 10 and 20, and in a
second run AUC per user too. RecBole knows only items with a positive, so it ranks somewhat fewer.
Not timed: imports, conversion of the data, compilation, and the first evaluation.
"""

import argparse
from pathlib import Path

import harness
import numpy as np
import shapes

from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer

D = 64
#: By name: library, settings.
SIDES = {
    "hbpr": ("hbpr", {}),
    "implicit": ("implicit", {}),
    "RecBole": ("recbole", {}),
    "RecBole with AUC": ("recbole", {"auc": True}),
}


def vectors(dataset: str, epochs: int) -> Path:
    """Train without biases, so that every library can hold the vectors; return their file."""
    data = shapes.read(shapes.prepare(dataset), held_out=False)
    settings = TrialSettings.model_validate(
        {"model": {"n_latent": D, "item_bias": False}, "training": {"n_iter": epochs}}
    )
    trainer = Trainer(data, settings)
    for _ in trainer:
        pass
    path = shapes.HOME / "work" / f"{dataset}-vectors.npz"
    model = trainer.model
    np.savez(
        path,
        users=model.user_vectors(),
        items=model.item_vectors(),
        biases=np.zeros(data.n_items, np.float32),
    )
    return path


def describe(dataset: str, found: dict[str, list[harness.Answer]]) -> str:
    """Markdown of one dataset."""
    rows, compared, missing = [], [], []
    ours = harness.values(found["hbpr"], "evaluation_s")
    for name, answers in found.items():
        if name == "one epoch of training, hbpr":
            continue
        seconds = harness.values(answers, "evaluation_s")
        if not seconds:
            missing.append(f"- **{name}** is missing: {answers[-1]['missing']}")
            continue
        metrics = answers[-1]["metrics"]
        rows.append(
            [
                name,
                f"{1e3 * harness.median(seconds):.0f}",
                harness.listed([1e3 * s for s in seconds], 0),
                f"{1e3 * harness.median(harness.values(answers, 'evaluation_cpu_s')):.0f}",
                f"{metrics['test/ndcg_at_10']:.4f}",
                f"{harness.median(harness.values(answers, 'peak_bytes')) / 2**20:.0f}",
            ]
        )
        if name != "hbpr" and ours:
            ratio = harness.ratios(seconds, ours)
            compared.append(
                [f"{name} / hbpr", f"{harness.median(ratio):.1f}", harness.listed(ratio, 1)]
            )
    epochs = harness.values(found["one epoch of training, hbpr"], "epoch_s")
    if epochs and ours:
        ratio = harness.ratios(ours, epochs)
        compared.append(
            [
                "one evaluation / one fused epoch of training",
                f"{harness.median(ratio):.1f}",
                harness.listed(ratio, 1),
            ]
        )
    header = [dataset, "ms, median", "all runs", "CPU ms", "NDCG@10", "peak MiB"]
    parts = [
        f"### {dataset}",
        harness.table(header, rows),
        harness.table(["ratio", "median", "pair by pair"], compared),
        "\n".join(missing),
    ]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=shapes.NAMES, default="ml-1m")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--pairs", type=int, default=3, help="rounds; default 3")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed at least, a run; 2")
    parser.add_argument("--epochs", type=int, default=10, help="of the training of the vectors")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    common = {
        "data": str(shapes.prepare(options.dataset)),
        "vectors": str(vectors(options.dataset, options.epochs)),
        "threads": 1,
        "seconds": options.seconds,
    }
    sides = {
        name: (SIDES[name][0], "evaluate", {**common, "settings": SIDES[name][1]})
        for name in dict.fromkeys(["hbpr", *options.sides])
    }
    epoch = {"model": {"n_latent": D}, "training": {"engine": "fused"}}
    sides["one epoch of training, hbpr"] = ("hbpr", "speed", {**common, "settings": epoch})
    found = harness.alternate(sides, options.pairs)
    text = f"{__doc__.strip()}\n\n{describe(options.dataset, found)}"
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "Evaluation speed", {"d": D, **settings}, found, text)


if __name__ == "__main__":
    main()
