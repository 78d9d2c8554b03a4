"""Time of an epoch and memory of the fused engine as one thing grows: pairs, users, items, d.

Generated long-tailed data, SGD, one thread, every point in a process of its own. Memory is the
process's peak above that of a run on 600 pairs, beside what must be there: the data's arrays, the
weights, the optimizer's sums (none with SGD) and the scratch of one block.
"""

import argparse
from pathlib import Path
from typing import Any

import harness
import numpy as np
import shapes

#: Users, items, pairs and d where only one of them varies.
BASE = {"users": 50_000, "items": 10_000, "pairs": 1_000_000, "d": 64}
SWEEPS: dict[str, list[int]] = {
    "pairs": [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000],
    "users": [5_000, 15_000, 50_000, 150_000, 500_000],
    "items": [1_000, 3_000, 10_000, 30_000, 100_000],
    "d": [16, 32, 64, 128, 256],
}


def request(point: dict[str, int], seconds: float) -> dict[str, Any]:
    """What one point asks of hbpr's side."""
    name = f"generated-{point['users']}-{point['items']}-{point['pairs']}"
    settings = {
        "model": {"n_latent": point["d"]},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "training": {"engine": "fused"},
    }
    path = shapes.prepare(name)
    return {"data": str(path), "settings": settings, "threads": 1, "seconds": seconds}


def needed_bytes(point: dict[str, int]) -> int:
    """Bytes of data (int32 items, int64 starts, features as CSR), weights and sums."""
    users, items = point["users"], point["items"]
    data = 4 * point["pairs"] + 3 * 8 * users + (8 + 4 + 4) * (users + items)
    return data + 4 * ((users + items) * point["d"] + items)


def exponent(xs: list[int], ys: list[float]) -> float:
    """Slope in log-log: 1 is linear, 0 is constant."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw epoch time and memory over each thing that grows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(found), 5.4), layout="constrained")
    axes = figure.subplots(2, len(found), squeeze=False)
    for column, (name, points) in enumerate(found.items()):
        xs = [point[name] for point in points]
        for row, (keys, label) in enumerate(
            (
                ({"epoch_s": "measured"}, "seconds an epoch"),
                ({"memory": "measured", "needed": "data, weights"}, "bytes"),
            )
        ):
            ax = axes[row, column]
            for key, legend in keys.items():
                ax.loglog(xs, [point[key] for point in points], "o-", label=legend)
            if row == 0 and name in ("pairs", "d"):
                first = points[0]["epoch_s"]
                ax.loglog(xs, [first * x / xs[0] for x in xs], ":", color="gray", label="linear")
            ax.set(xlabel=name, ylabel=label if column == 0 else None)
            ax.grid(visible=True, which="both", alpha=0.2)
            ax.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def describe(found: dict[str, Any]) -> str:
    """Markdown of all sweeps."""
    parts = []
    for name, points in found.items():
        rows = [
            [
                f"{point[name]:,}",
                f"{1e3 * point['epoch_s']:.1f}",
                f"{1e9 * point['epoch_s'] / point['pairs']:.0f}",
                f"{point['memory'] / 2**20:.0f}",
                f"{point['needed'] / 2**20:.0f}",
            ]
            for point in points
        ]
        header = [name, "ms an epoch", "ns a triple", "MiB above 600 pairs", "MiB needed"]
        parts += [f"### {name}", harness.table(header, rows)]
        if len(points) > 1:
            slope = exponent([p[name] for p in points], [p["epoch_s"] for p in points])
            parts.append(f"Epoch time grows as {name}^{slope:.2f}.")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", nargs="+", choices=list(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--most-pairs", type=int, default=10_000_000, help="leave out more pairs")
    parser.add_argument("--points", type=int, default=5, help="of each sweep; default 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="timed at least, a point; 1")
    parser.add_argument("--output", type=Path, help="JSON file for the report, PNG beside it")
    options = parser.parse_args()
    base = {**BASE, "pairs": min(BASE["pairs"], options.most_pairs)}
    smallest = request({"users": 60, "items": 40, "pairs": 600, "d": 64}, 0.0)
    harness.run_side("hbpr", "speed", smallest)  # compiles; the second loads the compiled code
    tiny = harness.run_side("hbpr", "speed", smallest)
    found: dict[str, Any] = {}
    for name in options.sweeps:
        found[name] = []
        for value in SWEEPS[name][: options.points]:
            point = {**base, name: value}
            if point["pairs"] > options.most_pairs:
                continue
            answer = harness.run_side("hbpr", "speed", request(point, options.seconds))
            if "missing" in answer:
                raise SystemExit(f"error: {point}: {answer['missing']}")
            measured = {
                "epoch_s": answer["epoch_s"],
                "memory": max(answer["peak_bytes"] - tiny["peak_bytes"], 1),
                "needed": needed_bytes(point),
            }
            found[name].append({**point, **measured})
            harness.say(f"{name} {value:,}: {1e3 * answer['epoch_s']:.1f} ms an epoch")
    text = f"{__doc__.strip()}\n\n{describe(found)}"
    if options.output is not None:
        plot(found, options.output.with_suffix(".png"))
    harness.write(
        options.output, "Cost as work grows", {**BASE, "seconds": options.seconds}, found, text
    )


if __name__ == "__main__":
    main()
