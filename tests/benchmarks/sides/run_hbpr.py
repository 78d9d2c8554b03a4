"""hbpr's side of the benchmarks."""

import sys
from pathlib import Path

import numpy as np
import torch
from common import Data, Timer, Vectors, main

from hbpr.data.interactions import Features, UserItems
from hbpr.evaluation import evaluate
from hbpr.models import MatrixFactorization
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer

sys.path.append(str(Path(__file__).resolve().parents[1]))
from shapes import read

TOP_K = (10, 20)


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Train by `Trainer`, whose epoch is timed; it evaluates nothing here."""
    sections = {key: dict(value) for key, value in settings.items() if key != "epochs"}
    sections.setdefault("training", {})["n_iter"] = settings["epochs"]
    torch.set_num_threads(threads)
    interactions = read(Path(data.path), held_out=False)
    trainer = Trainer(interactions, TrialSettings.model_validate(sections), threads=threads)
    model = trainer.model

    def vectors() -> Vectors:
        biases = model.item_biases() if model.item_bias else np.zeros(model.n_items, np.float32)
        return model.user_vectors(), model.item_vectors(), biases

    while True:
        timer = Timer()
        report = next(trainer)
        after_epoch(*timer.stop(), vectors)
        if report.done:
            break


def make_evaluation(data: Data, settings: dict, vectors: Vectors, threads: int):
    """All metrics for both k over the whole catalogue."""
    users, items, _ = vectors
    model = MatrixFactorization(
        Features.identity(len(users)), Features.identity(len(items)),
        n_latent=users.shape[1], item_bias=False,
    )  # fmt: skip
    model.U.data.numpy()[:] = users
    model.V.data.numpy()[:] = items
    whole = read(Path(data.path))
    seen: UserItems = whole.train.union(whole.validation)
    return lambda: evaluate(model, whole.test, exclude=seen, top_k=TOP_K, part="test").metrics


if __name__ == "__main__":
    main(train, make_evaluation)
