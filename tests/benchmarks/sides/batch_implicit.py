"""implicit's ``recommend`` for everyone: vectors, k and threads on the command line."""

import json
import sys
import time

import numpy as np
import scipy.sparse as sp
from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase


class Model(MatrixFactorizationBase):
    """Vectors that were trained elsewhere."""

    def fit(self, *_: object, **__: object) -> None:
        """Nothing is trained."""

    def save(self, *_: object) -> None:
        """Nothing is saved."""


def main() -> None:
    """Print the seconds of one run after a small one."""
    path, k, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with np.load(path) as file:
        model = Model(num_threads=threads)
        model.user_factors, model.item_factors = file["users"], file["items"]
        shape = len(file["users"]), len(file["items"])
        ones = np.ones(len(file["indices"]), np.float32)
        seen = sp.csr_matrix((ones, file["indices"], file["indptr"]), shape=shape)
    model.recommend(np.arange(600), seen[:600], N=k)
    begin = time.perf_counter()
    model.recommend(np.arange(shape[0]), seen, N=k)
    sys.stdout.write(json.dumps({"batch_s": time.perf_counter() - begin}) + "\n")


if __name__ == "__main__":
    main()
