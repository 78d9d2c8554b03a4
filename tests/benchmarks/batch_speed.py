"""Seconds of lists for everyone: hbpr's batch beside implicit's ``recommend``, the same vectors.

Two shapes: a model that is given (``--model``, all its users), and vectors drawn at random for
138,000 users and 26,000 items, 11 million seen pairs, top 100. hbpr's time has the file in it;
implicit's has its arrays alone. Not timed: imports, compilation, and reading the vectors.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import shapes
from environments import HERE, python_of, why_missing
from harness import say

from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.inference.batch.job import run, want
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions


def random_model(folder: Path, shape: tuple[int, int, int], d: int) -> Path:
    """Save a model with random vectors and long-tailed seen pairs."""
    from hbpr.inference.system import RecommendationSystem
    from hbpr.models import build_model
    from hbpr.settings.models import MfSettings, TrialSettings

    n_users, n_items, n_pairs = shape
    train, none = shapes.long_tailed(n_users, n_items, n_pairs), UserItems.empty(n_users, n_items)
    data = Interactions(
        "random", train, none, none, none, none, none,
        Features.identity(n_users), Features.identity(n_items),
        np.arange(n_users), np.arange(n_items),
    )  # fmt: skip
    settings = TrialSettings(model=MfSettings(n_latent=d, item_bias=False, init_std=1.0))
    RecommendationSystem(build_model(settings.model, data), data, settings).save(folder)
    return folder


def ours(model: LoadedModel, k: int) -> dict[str, float]:
    """Seconds and peak memory of a Parquet file of everyone's lists."""
    with tempfile.TemporaryDirectory() as folder:
        first = want(model, model.users.values[:600], f"{folder}/warm.parquet", ListOptions(k=k))
        run(model, first, lambda *_: None)
        begin = time.perf_counter()
        run(model, want(model, None, f"{folder}/all.parquet", ListOptions(k=k)), lambda *_: None)
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"batch_s": seconds, "peak_mib": peak}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of a saved model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("-d", type=int, default=128)
    parser.add_argument("--shape", default="138000,26000,11000000", help="users,items,pairs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        found = ours(LoadedModel.read(Path(given.side)), given.k)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    with tempfile.TemporaryDirectory(dir=shapes.HOME if shapes.HOME.is_dir() else None) as folder:
        models = {"large": random_model(
            Path(folder) / "large", tuple(map(int, given.shape.split(","))), given.d
        )}  # fmt: skip
        if given.model:
            models = {"given": given.model} | models
        for name, path in models.items():
            _compare(name, path, given)


def _compare(name: str, path: Path, given: argparse.Namespace) -> None:
    model = LoadedModel.read(path)
    say(f"{name}: {model.n_users:,} users, {model.n_items:,} items, top {given.k}")
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npz"
        np.savez(
            vectors, users=model.form.users, items=model.form.items,
            indptr=model.met.indptr, indices=model.met.items,
        )  # fmt: skip
        for _ in range(given.runs):
            own = [sys.executable, __file__, "--side", str(path), "-k", str(given.k)]
            say(f"  hbpr: {_side(own, given)}")
            reason = why_missing("implicit")
            if reason is not None:
                say(f"  implicit: missing: {reason}")
                continue
            peer = [str(python_of("implicit")), str(HERE / "sides" / "batch_implicit.py")]
            arguments = [str(vectors), str(given.k), str(given.threads)]
            say(f"  implicit: {_side([*peer, *arguments], given)}")


def _side(command: list[str], given: argparse.Namespace) -> str:
    done = subprocess.run(
        command,
        env=harness.surroundings(given.threads),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
