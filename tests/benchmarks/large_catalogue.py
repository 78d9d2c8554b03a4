"""Memory and seconds of listwise training on a catalogue of a million items, by shared samples.

A generated shape (users, items, pairs; long-tailed) is trained with ``negatives.kind: shared`` by
several numbers of samples, each in a process of its own; beside it what ``kind: all`` answers. A
row of vectors, its two moments of Adam, and the best epoch's copy are what must be held.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import harness
import shapes
from harness import say

from hbpr.errors import HbprError


def train(shape: str, d: int, negatives: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Train in this process; seconds of an epoch and the peak of its memory."""
    from hbpr.settings.models import TrialSettings
    from hbpr.training import Trainer

    data = shapes.read(shapes.prepare(shape), held_out=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    settings = TrialSettings.model_validate(
        {
            "model": {"n_latent": d, "similarity": "cosine", "temperature": 0.05, "init_std": 1.0},
            "optimizer": {"name": "adam", "lr": 0.01}
            | dict.fromkeys(("reg_user", "reg_positive", "reg_negative"), 0.0),
            "training": {
                "loss_function": "softmax_loss",
                "n_iter": epochs,
                "eval_every": epochs,
                "early_stopping_patience": 0,
                "negatives": negatives,
            },
        }
    )
    try:
        trainer = Trainer(data, settings)
    except HbprError as error:
        return {"refused": str(error)}
    seconds, losses, begin = [], [], time.perf_counter()
    for report in trainer:
        seconds.append(time.perf_counter() - begin)
        losses.append(report.loss)
        begin = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    weights = 4 * d * (data.n_users + data.n_items) / 2**20
    return {
        "epoch_s": min(seconds),
        "loss": losses,
        "peak_mib": peak,
        "data_mib": before,
        "weights_mib": weights,
        "block_mib": settings.training.negatives.block_mib,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="generated-200000-1000000-10000000")
    parser.add_argument("--samples", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("-d", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        found = train(given.shape, given.d, json.loads(given.side), given.epochs)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    shapes.prepare(given.shape)
    say(f"{given.shape} (users-items-pairs), d {given.d}, {given.threads} threads")
    sides = [{"kind": "shared", "n_items": n} for n in given.samples] + [{"kind": "all"}]
    for negatives in sides:
        arguments = ["--shape", given.shape, "-d", str(given.d), "--epochs", str(given.epochs)]
        done = subprocess.run(
            [sys.executable, __file__, *arguments, "--side", json.dumps(negatives)],
            env=harness.surroundings(given.threads),
            capture_output=True,
            text=True,
            check=False,
        )
        say(f"  {negatives}: {done.stdout.strip() or done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    main()
