"""Seconds of training, on one core, until a side ranks as well as EASE on validation.

EASE with the best regularisation of its grid sets the target: its validation NDCG@10. Each side
trains in a process of its own and is looked at every few epochs by hbpr's evaluation, the same for
all. Timed are training alone, and training with the looks until then; imports, reading and
conversion of the data are not. Only positives are known to anybody. Sides take turns; the median
of the rounds counts. A side that never gets there is shown with the best it had.
"""

import argparse
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness
import shapes
from environments import why_missing
from quality import library_of
from watch import Curve, curve

from hbpr.baselines.ease import Ease
from hbpr.evaluation import evaluate

#: What is asked for, seconds.
BARS = {"ml-100k": 1.5, "ml-1m": 25.0}
REGULARISATION = (50.0, 100.0, 200.0, 300.0, 500.0, 1000.0)
NO_L2 = {"reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0}


def listwise(d: int, lr: float, **negatives: Any) -> dict[str, Any]:
    """Settings of hbpr's listwise softmax over cosines."""
    return {
        "model": {"n_latent": d, "similarity": "cosine", "temperature": 0.2, "init_std": 1.0},
        "optimizer": {"name": "adam", "lr": lr, **NO_L2},
        "training": {"loss_function": "softmax_loss", "negatives": {"kind": "all"} | negatives},
    }


#: By dataset and name: settings, epochs from look to look, and epochs at most.
SIDES: dict[str, dict[str, tuple[dict[str, Any], int, int]]] = {
    "tiny": {"hbpr": (listwise(8, 0.03, block_users=32), 1, 4)},
    "ml-100k": {
        "hbpr": (listwise(128, 0.06, block_users=128), 4, 60),
        "implicit ALS": (
            {"model": "als", "d": 128, "alpha": 2.6, "reg": 21.0}, 4, 60,
        ),
        "implicit": ({"d": 64, "lr": 0.05, "reg": 0.01}, 10, 300),
        "cornac": ({"d": 64, "lr": 0.05, "reg": 0.01, "bias": True}, 10, 300),
    },
    "ml-1m": {
        "hbpr": (listwise(128, 0.03, block_users=256), 4, 60),
        "implicit ALS": (
            {"model": "als", "d": 128, "alpha": 2.6, "reg": 21.0}, 4, 60,
        ),
        "implicit": ({"d": 64, "lr": 0.05, "reg": 0.01}, 10, 200),
        "cornac": ({"d": 64, "lr": 0.05, "reg": 0.01, "bias": True}, 10, 200),
    },
}  # fmt: skip


def ease_of(path: Path) -> tuple[float, float]:
    """Return EASE's best regularisation on validation, and its NDCG@10 there."""
    data = shapes.read(path)

    def value(regularisation: float) -> float:
        model = Ease.fit(data.train, regularisation=regularisation)
        found = evaluate(model, data.validation, exclude=data.train, top_k=(10,), part="val")
        return found.metrics["val/ndcg_at_10"]

    values = {each: value(each) for each in REGULARISATION}
    best = max(values, key=lambda each: values[each])
    return best, values[best]


def reached(found: Curve, target: float) -> tuple[float, float] | None:
    """Seconds of training, and with the looks, at the first look at or above the target."""
    for _, train_s, _, looking_s, value in found.points:
        if value >= target:
            return train_s, train_s + looking_s
    return None


def row_of(name: str, runs: list[Curve], target: float) -> list[str]:
    """A side's line of the table."""
    times = [reached(run, target) for run in runs]
    best = max((value for run in runs for *_, value in run.points), default=float("nan"))
    epochs = statistics.median(run.points[-1][0] for run in runs if run.points)
    if None in times:
        spent = statistics.median(run.points[-1][1] for run in runs)
        return [name, f"never in {spent:.1f}", "–", f"{epochs:.0f}", f"{best:.4f}"]
    train = [time[0] for time in times if time]
    whole = statistics.median(time[1] for time in times if time)
    shown = f"{statistics.median(train):.2f} ({harness.listed(train)})"
    return [name, shown, f"{whole:.2f}", f"{epochs:.0f}", f"{best:.4f}"]


def measure(dataset: str, rounds: int, max_s: float) -> dict[str, Any]:
    """Let the sides take turns on one dataset."""
    path = shapes.prepare(dataset)
    data = shapes.read(path)
    regularisation, target = ease_of(path)
    harness.say(f"{dataset}: EASE has {target:.4f} with regularisation {regularisation:g}")
    sides = {"EASE": ({"regularisation": regularisation}, 1, 1), **SIDES[dataset]}
    curves: dict[str, list[Curve]] = {}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for name, (settings, eval_every, max_epochs) in sides.items():
            library = "ease" if name == "EASE" else library_of(name)
            reason = why_missing(library) or missing.get(name)
            if reason is not None:
                missing[name] = reason
                continue
            # float32 scores of the same EASE may differ in their last digits
            wanted = target - 1e-3 if name == "EASE" else target
            found = curve(
                library, settings, data, path,
                max_epochs=max_epochs, eval_every=eval_every, target=wanted, max_s=max_s,
            )  # fmt: skip
            if found.failed or not found.points:
                missing[name] = found.failed or "it trained no epoch"
                continue
            curves.setdefault(name, []).append(found)
            last = found.points[-1]
            harness.say(f"{name}: {last[4]:.4f} after {last[1]:.2f} s, epoch {last[0]}")
    rows = [
        row_of(name, runs, target - 1e-3 if name == "EASE" else target)
        for name, runs in curves.items()
    ]
    return {
        "target": target,
        "regularisation": regularisation,
        "rows": rows,
        "missing": missing,
        "curves": {name: [asdict(run) for run in runs] for name, runs in curves.items()},
        "seconds": {
            name: [time and time[0] for time in (reached(run, target) for run in runs)]
            for name, runs in curves.items()
        },
    }


def describe(dataset: str, found: dict[str, Any]) -> str:
    """Markdown: a row a side."""
    header = [
        dataset,
        "training s to EASE's validation NDCG@10 (each round)",
        "with the looks",
        "epochs",
        "NDCG@10 then, or its best",
    ]
    text = f"### {dataset}: {found['target']:.4f}, asked for: {BARS.get(dataset, 0):g} s\n\n"
    text += harness.table(header, found["rows"])
    absent = [f"- **{name}** is missing: {reason}" for name, reason in found["missing"].items()]
    return "\n\n".join([text, *absent])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", choices=list(SIDES), default=list(BARS))
    parser.add_argument("--rounds", type=int, default=3, help="of every side; default 3")
    parser.add_argument("--max-s", type=float, default=300.0, help="of training, a side; 300")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    found = {name: measure(name, options.rounds, options.max_s) for name in options.datasets}
    parts = [__doc__.strip(), *(describe(name, each) for name, each in found.items())]
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "Time to EASE", settings, found, "\n\n".join(parts))


if __name__ == "__main__":
    main()
