"""cornac's side: its BPR, plain SGD with item biases."""

from collections import OrderedDict

import numpy as np
from common import Data, Timer, Vectors, main
from cornac.data import Dataset
from cornac.models import BPR


class TimedBPR(BPR):
    """BPR that tells after every epoch."""

    tell = None

    def _fit_sgd(self, *arguments):
        timer = Timer()
        counts = super()._fit_sgd(*arguments)
        self.tell(*timer.stop())
        return counts


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Train; a draw that fails its check against known positives is skipped."""
    users, items = data.pairs("train")
    dataset = Dataset(
        num_users=data.n_users,
        num_items=data.n_items,
        uid_map=OrderedDict((k, k) for k in range(data.n_users)),
        iid_map=OrderedDict((k, k) for k in range(data.n_items)),
        uir_tuple=(users, items, np.ones(len(users), np.float32)),
    )
    model = TimedBPR(
        k=settings["d"],
        learning_rate=settings["lr"],
        lambda_reg=settings["reg"],
        use_bias=settings.get("bias", True),
        max_iter=settings["epochs"],
        num_threads=threads,
    )
    model.num_threads = threads
    model.rng = np.random.RandomState(settings.get("seed", 0))

    def vectors() -> Vectors:
        return model.u_factors, model.i_factors, model.i_biases

    model.tell = lambda wall, cpu: after_epoch(wall, cpu, vectors)
    model.fit(dataset)


if __name__ == "__main__":
    main(train)
