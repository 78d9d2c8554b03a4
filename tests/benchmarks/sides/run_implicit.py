"""implicit's side: its BPR, plain SGD with a bias in the last column of the factors; or its ALS."""

import numpy as np
from common import Data, Timer, Vectors, main
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Train BPR with verified negatives, where a draw that fails is skipped, or ALS."""
    shared = {
        "factors": settings["d"],
        "regularization": settings["reg"],
        "iterations": settings["epochs"],
        "num_threads": threads,
        "random_state": settings.get("seed", 0),
    }
    if settings.get("model") == "als":
        model = AlternatingLeastSquares(**shared, alpha=settings["alpha"])
    else:
        model = BayesianPersonalizedRanking(**shared, learning_rate=settings["lr"])
    timer = Timer()

    def vectors() -> Vectors:
        return model.user_factors, model.item_factors, np.zeros(data.n_items, np.float32)

    def callback(*_: object) -> None:
        nonlocal timer
        after_epoch(*timer.stop(), vectors)
        timer = Timer()

    model.fit(data.csr("train"), show_progress=False, callback=callback)


def make_evaluation(data: Data, settings: dict, vectors: Vectors, threads: int):
    """Its evaluator for one k: precision, MAP, NDCG and AUC."""
    users, items, _ = vectors
    model = BayesianPersonalizedRanking(factors=users.shape[1], num_threads=threads)
    model.user_factors, model.item_factors = users, items
    seen, test = data.csr("train", "validation"), data.csr("test")

    def evaluate() -> dict[str, float]:
        found = ranking_metrics_at_k(
            model, seen, test, K=10, show_progress=False, num_threads=threads
        )
        return {"test/ndcg_at_10": float(found["ndcg"]), "test/map_at_10": float(found["map"])}

    return evaluate


if __name__ == "__main__":
    main(train, make_evaluation)
