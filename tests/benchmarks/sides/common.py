"""What every side of a benchmark shares. It runs in each peer's environment: numpy alone.

A side is a program ``run_NAME.py TASK JSON``: it reads a dataset, converts it to what its library
wants, and answers in JSON lines on standard output. Tasks:

- ``speed``: one epoch to warm up, then epochs until ``seconds`` have passed. Answers once.
- ``quality``: after every ``eval_every`` epochs the vectors are written and the side waits for a
  line: ``go`` trains on, anything else ends.
- ``evaluate``: one evaluation to warm up, then evaluations until ``seconds`` have passed.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np


class EnoughError(Exception):
    """Raised into a library's training loop to end it."""


class Data:
    """A dataset file, see ``shapes.py``; an array is read when it is asked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.arrays = np.load(path, allow_pickle=False)

    @property
    def n_users(self) -> int:
        return len(self.arrays["train_indptr"]) - 1

    @property
    def n_items(self) -> int:
        return int(self.arrays["n_items"])

    @property
    def n_train(self) -> int:
        return int(self.arrays["train_indptr"][-1])

    def pairs(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Users and items of each pair of train, validation or test."""
        counts = np.diff(self.arrays[f"{part}_indptr"])
        return np.repeat(np.arange(self.n_users), counts), self.arrays[f"{part}_items"]

    def csr(self, *parts: str):
        """(U, I) float32 scipy matrix of ones at the pairs of these parts."""
        import scipy.sparse as sp

        users, items = map(np.concatenate, zip(*map(self.pairs, parts), strict=True))
        ones = np.ones(len(users), np.float32)
        matrix = sp.csr_matrix((ones, (users, items)), shape=(self.n_users, self.n_items))
        matrix.sort_indices()
        return matrix

    def features(self, side: str):
        """(rows, features) float32 scipy matrix of the user or item features."""
        import scipy.sparse as sp

        values, indices, indptr = (
            self.arrays[f"{side}_{key}"] for key in ("values", "indices", "indptr")
        )
        return sp.csr_matrix(
            (values, indices, indptr), shape=(len(indptr) - 1, int(self.arrays[f"{side}_n"]))
        )


#: User vectors (U, d), item vectors (I, d) and item biases (I,).
Vectors = tuple[np.ndarray, np.ndarray, np.ndarray]
#: Told after every epoch: its wall and CPU seconds, and how to get the vectors.
AfterEpoch = Callable[[float, float, Callable[[], Vectors]], None]


@dataclass
class Timer:
    """Wall and CPU seconds (of all threads of this process) between `start` and `stop`."""

    wall: float = field(default_factory=perf_counter)
    cpu: float = field(default_factory=process_time)

    def stop(self) -> tuple[float, float]:
        return perf_counter() - self.wall, process_time() - self.cpu


def answer(**values: object) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def peak_bytes() -> int:
    """Most memory this process has had so far.

    ru_maxrss, where there is no other, counts the parent's memory before this program started.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(
    train: Callable[[Data, dict, int, AfterEpoch], None],
    make_evaluation: Callable[[Data, dict, Vectors, int], Callable[[], dict]] | None = None,
) -> None:
    """Run the task that the command line names.

    Args:
        train: Trains ``settings["epochs"]`` epochs on a dataset with a number of threads.
        make_evaluation: Prepares an evaluation of the test part, given the vectors.
    """
    task, text = sys.argv[1:3]
    request = json.loads(text)
    base = peak_bytes()
    data = Data(request["data"])
    settings, threads = request["settings"], request["threads"]
    if task == "evaluate":
        with np.load(request["vectors"]) as file:
            vectors = (file["users"], file["items"], file["biases"])
        evaluate = make_evaluation(data, settings, vectors, threads)
        _repeat(evaluate, request["seconds"], base)
    elif task == "speed":
        _speed(train, data, settings, threads, request["seconds"], base)
    else:
        _quality(train, data, settings, threads, request)


def _speed(train, data: Data, settings: dict, threads: int, seconds: float, base: int) -> None:
    walls: list[float] = []
    cpus: list[float] = []

    def after_epoch(wall: float, cpu: float, _: Callable[[], Vectors]) -> None:
        walls.append(wall)
        cpus.append(cpu)
        if len(walls) > 1 and sum(walls[1:]) >= seconds:
            raise EnoughError

    with contextlib.suppress(EnoughError):
        train(data, {**settings, "epochs": 10**6}, threads, after_epoch)
    n_triples = data.n_train * (len(walls) - 1)
    answer(
        triples_per_s=n_triples / sum(walls[1:]),
        triples_per_cpu_s=n_triples / max(sum(cpus[1:]), 1e-9),
        epochs=len(walls) - 1,
        epoch_s=float(np.median(walls[1:])),
        peak_bytes=peak_bytes(),
        base_bytes=base,
    )


def _quality(train, data: Data, settings: dict, threads: int, request: dict) -> None:
    done, wall_s, cpu_s = 0, 0.0, 0.0

    def after_epoch(wall: float, cpu: float, vectors: Callable[[], Vectors]) -> None:
        nonlocal done, wall_s, cpu_s
        done, wall_s, cpu_s = done + 1, wall_s + wall, cpu_s + cpu
        if done % request["eval_every"] and done < settings["epochs"]:
            return
        users, items, biases = vectors()
        np.savez(request["out"], users=users, items=items, biases=biases)
        answer(epoch=done, train_s=wall_s, cpu_s=cpu_s)
        if sys.stdin.readline().strip() != "go":
            raise EnoughError

    with contextlib.suppress(EnoughError):
        train(data, settings, threads, after_epoch)


def _repeat(evaluate: Callable[[], dict], seconds: float, base: int) -> None:
    metrics = evaluate()
    walls: list[float] = []
    cpus: list[float] = []
    while sum(walls) < seconds:
        timer = Timer()
        evaluate()
        wall, cpu = timer.stop()
        walls.append(wall)
        cpus.append(cpu)
    answer(
        evaluation_s=float(np.median(walls)),
        evaluation_cpu_s=float(np.median(cpus)),
        runs=len(walls),
        metrics=metrics,
        peak_bytes=peak_bytes(),
        base_bytes=base,
    )
