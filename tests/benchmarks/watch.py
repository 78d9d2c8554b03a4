"""Train a side in a process of its own, and look at its vectors on the way."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import harness
import numpy as np

from hbpr.data.interactions import Interactions
from hbpr.evaluation import ScoreBlock, evaluate

METRIC = "ndcg_at_10"


class SideFailedError(Exception):
    """A side ended by itself with an error; its last line."""


class Vectors:
    """A scorer from exported vectors."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.users = np.c_[file["users"], np.ones(len(file["users"]), np.float32)]
            self.items = np.c_[file["items"], file["biases"]].astype(np.float32)

    def block_scorer(self) -> ScoreBlock:
        items = np.ascontiguousarray(self.items.T)
        return lambda users: np.asarray(self.users[users] @ items, np.float32)


@dataclass(frozen=True)
class Look:
    """What a side had reached.

    Attributes:
        epoch: Epochs done.
        train_s: Wall seconds of its training so far.
        cpu_s: CPU seconds of it, over all threads.
        vectors: What it had learnt.
    """

    epoch: int
    train_s: float
    cpu_s: float
    vectors: Vectors


def looks(
    library: str,
    settings: Mapping[str, Any],
    path: Path,
    *,
    max_epochs: int,
    eval_every: int,
    threads: int = 1,
) -> Iterator[Look]:
    """Yield after every `eval_every` epochs; training ends when the generator is closed.

    Args:
        library: Whose side.
        settings: As the side takes them.
        path: The dataset, see `shapes.prepare`.
        max_epochs: Epochs at most.
        eval_every: Epochs from look to look.
        threads: Threads of the side.

    Raises:
        SideFailedError: The side ended with an error.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "err").open("w+") as errors:
        out = Path(folder) / "vectors.npz"
        request = {
            "data": str(path),
            "settings": {**settings, "epochs": max_epochs},
            "threads": threads,
            "eval_every": eval_every,
            "out": str(out),
        }
        side = subprocess.Popen(
            harness.command(library, "quality", request),
            env=harness.surroundings(threads),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert side.stdin is not None
        assert side.stdout is not None
        enough = False
        try:
            for line in side.stdout:
                if line.startswith("{"):
                    told = json.loads(line)
                    vectors = Vectors(out)
                    yield Look(told["epoch"], told["train_s"], told["cpu_s"], vectors)
                    side.stdin.write("go\n")
                    side.stdin.flush()
        except GeneratorExit:
            enough = True
            raise
        finally:
            side.communicate("stop\n" if enough else None)
        if side.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines()
            raise SideFailedError(said[-1] if said else f"exit status {side.returncode}")


def score(vectors: Vectors, data: Interactions, part: str) -> float:
    """NDCG@10 of ``val`` or ``test``; -inf where scores are no numbers."""
    if not (np.isfinite(vectors.users).all() and np.isfinite(vectors.items).all()):
        return -np.inf
    validation = part == "val"
    found = evaluate(
        vectors,
        data.validation if validation else data.test,
        exclude=data.train if validation else data.train.union(data.validation),
        top_k=(10,),
        part="val" if validation else "test",
    )
    return found.metrics[f"{'val' if validation else 'test'}/{METRIC}"]


@dataclass(frozen=True)
class Curve:
    """Validation NDCG@10 over training.

    Attributes:
        points: Epoch, wall seconds of training, CPU seconds of it, seconds of the looks, value.
        failed: Why the side ended, if it did not train to its end.
    """

    points: tuple[tuple[int, float, float, float, float], ...]
    failed: str | None = None


def curve(
    library: str,
    settings: Mapping[str, Any],
    data: Interactions,
    path: Path,
    *,
    max_epochs: int,
    eval_every: int,
    target: float = np.inf,
    max_s: float = np.inf,
) -> Curve:
    """Watch a training until it reaches a target, or has taken its seconds or its epochs."""
    points: list[tuple[int, float, float, float, float]] = []
    looking_s = 0.0
    running = looks(library, settings, path, max_epochs=max_epochs, eval_every=eval_every)
    try:
        for look in running:
            started = perf_counter()
            value = score(look.vectors, data, "val")
            looking_s += perf_counter() - started
            points.append((look.epoch, look.train_s, look.cpu_s, looking_s, value))
            if value >= target or look.train_s >= max_s:
                break
    except SideFailedError as error:
        return Curve(tuple(points), str(error))
    finally:
        running.close()
    return Curve(tuple(points))
