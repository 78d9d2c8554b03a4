"""Validation NDCG@10 against seconds of training: what each side has, and when.

Every side trains on one core in a process of its own, is looked at by hbpr's evaluation every few
epochs, and ends after its seconds or its epochs. Only training is timed, not the looks. Settings
are fixed below: those of the quality benchmark for peers, defaults for hbpr. EASE is a line.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness
import shapes
from environments import why_missing
from quality import library_of
from time_to_ease import ease_of, listwise
from watch import Curve, curve

FUSED = {
    "model": {"n_latent": 64, "item_bias": True},
    "optimizer": {
        "name": "adagrad", "lr": 0.05, "reg_user": 0.01, "reg_positive": 0.01, "reg_negative": 0.01,
    },
    "training": {
        "engine": "fused", "loss_function": "softmax_loss",
        "negatives": {"kind": "uniform", "per_positive": 16},
    },
}  # fmt: skip


def _shared(n_items: int) -> dict[str, Any]:
    return listwise(256, 0.03, kind="shared", n_items=n_items, alpha=0.5, block_users=128)


#: By name: settings, and epochs from look to look.
SIDES: dict[str, tuple[dict[str, Any], int]] = {
    "hbpr, listwise all": (listwise(256, 0.03, block_users=128, top_weight=20), 1),
    "hbpr, listwise shared 256": (_shared(256), 1),
    "hbpr, listwise shared 1,024": (_shared(1024), 1),
    "hbpr, listwise shared 4,096": (_shared(4096), 1),
    "hbpr, fused softmax 16": (FUSED, 2),
    "implicit ALS": ({"model": "als", "d": 128, "alpha": 2.6, "reg": 21.0}, 1),
    "implicit BPR": ({"d": 64, "lr": 0.05, "reg": 0.01}, 5),
    "cornac BPR": ({"d": 64, "lr": 0.05, "reg": 0.01, "bias": True}, 5),
    "lightfm WARP": (
        {"d": 64, "loss": "warp", "lr": 0.05, "user_alpha": 1e-6, "item_alpha": 1e-6}, 2,
    ),
}  # fmt: skip
#: Seconds of training, a side.
SECONDS = {"tiny": 1.0, "ml-100k": 6.0, "ml-1m": 90.0}


def measure(dataset: str, names: list[str], max_s: float, max_epochs: int) -> dict[str, Any]:
    """Follow every side on one dataset."""
    path = shapes.prepare(dataset)
    data = shapes.read(path)
    _, ease = ease_of(path)
    curves: dict[str, Curve] = {}
    missing: dict[str, str] = {}
    for name in names:
        settings, eval_every = SIDES[name]
        library = library_of(name).rstrip(",")
        reason = why_missing(library)
        if reason is None:
            found = curve(
                library, settings, data, path,
                max_epochs=max_epochs, eval_every=eval_every, max_s=max_s,
            )  # fmt: skip
            reason = found.failed or (None if found.points else "it trained no epoch")
        if reason is not None:
            missing[name] = reason
            continue
        curves[name] = found
        best = max(found.points, key=lambda point: point[4])
        harness.say(f"{dataset}, {name}: {best[4]:.4f} after {best[1]:.2f} s, epoch {best[0]}")
    return {
        "ease": ease,
        "missing": missing,
        "curves": {name: asdict(each) for name, each in curves.items()},
    }


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw a panel a dataset: the best so far of every side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * len(found), 4.5), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (dataset, each) in zip(axes, found.items(), strict=True):
        for name, one in each["curves"].items():
            seconds, best, top = [], [], 0.0
            for _, train_s, _, _, value in one["points"]:
                top = max(top, value)
                seconds.append(train_s)
                best.append(top)
            style = "-" if name.startswith("hbpr") else "--"
            ax.plot(seconds, best, style, label=name)
        ax.axhline(each["ease"], color="gray", linestyle=":", label="EASE")
        ax.set(
            title=dataset,
            xscale="log",
            xlabel="seconds of training, one core",
            ylabel="validation NDCG@10, best so far",
        )
        ax.grid(visible=True, which="both", alpha=0.2)
        ax.legend(fontsize=7, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def describe(found: dict[str, Any]) -> str:
    """Markdown: the best of every side, and when it was there."""
    parts = []
    for dataset, each in found.items():
        rows = [["EASE", f"{each['ease']:.4f}", "–", "–"]]
        for name, one in each["curves"].items():
            epoch, train_s, _, _, value = max(one["points"], key=lambda point: point[4])
            rows.append([name, f"{value:.4f}", f"{train_s:.2f}", str(epoch)])
        parts.append(harness.table([dataset, "best NDCG@10", "training s", "epoch"], rows))
        parts += [f"- **{name}** is missing: {why}" for name, why in each["missing"].items()]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--datasets", nargs="+", choices=list(SECONDS), default=["ml-100k", "ml-1m"]
    )
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--max-s", type=float, help="of training, a side; default by dataset")
    parser.add_argument("--max-epochs", type=int, default=200)
    parser.add_argument("--figure", type=Path, help="SVG or PNG; docs/quality-vs-cost.svg is shown")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    found = {
        name: measure(name, options.sides, options.max_s or SECONDS[name], options.max_epochs)
        for name in options.datasets
    }
    if options.figure is not None:
        plot(found, options.figure)
    settings = {k: v for k, v in vars(options).items() if k not in ("output", "figure")}
    text = f"{__doc__.strip()}\n\n{describe(found)}"
    harness.write(options.output, "Quality against cost", settings, found, text)


if __name__ == "__main__":
    main()
