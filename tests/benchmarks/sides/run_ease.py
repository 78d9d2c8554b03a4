"""EASE's side: hbpr's baseline, whose vectors are a user's row and an item's weights."""

import numpy as np
from common import Data, Timer, Vectors, main
from scipy.linalg import blas  # noqa: F401  loaded before time is taken

from hbpr.baselines.ease import Ease
from hbpr.data.interactions import UserItems


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Fit once, whatever the number of epochs."""
    items = UserItems(data.arrays["train_indptr"], data.arrays["train_items"], data.n_items)
    timer = Timer()
    model = Ease.fit(items, regularisation=settings["regularisation"])

    def vectors() -> Vectors:
        rows = data.csr("train").toarray()
        return rows, np.ascontiguousarray(model.weights.T), np.zeros(data.n_items, np.float32)

    after_epoch(*timer.stop(), vectors)


if __name__ == "__main__":
    main(train)
