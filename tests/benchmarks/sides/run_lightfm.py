"""LightFM's side: BPR or WARP with Adagrad, on indicators or on features.

Only its compiled loop is timed, not the shuffle and the matrix of positives it makes every epoch.
"""

from common import Data, Timer, Vectors, main
from lightfm import LightFM, lightfm


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Train on the dataset's features, whatever they are."""
    loss = settings.get("loss", "bpr")
    model = LightFM(
        no_components=settings["d"],
        loss=loss,
        learning_schedule="adagrad",
        learning_rate=settings["lr"],
        user_alpha=settings.get("user_alpha", 0.0),
        item_alpha=settings.get("item_alpha", 0.0),
        max_sampled=settings.get("max_sampled", 10),
        random_state=settings.get("seed", 0),
    )
    user_features, item_features = data.features("user"), data.features("item")
    spent = (0.0, 0.0)

    def timed(*arguments):
        nonlocal spent
        timer = Timer()
        fit(*arguments)
        spent = timer.stop()

    def vectors() -> Vectors:
        biases, items = model.get_item_representations(item_features)
        return model.get_user_representations(user_features)[1], items, biases

    fit = getattr(lightfm, f"fit_{loss}")
    setattr(lightfm, f"fit_{loss}", timed)
    interactions = data.csr("train").tocoo()
    for _ in range(settings["epochs"]):
        model.fit_partial(
            interactions,
            user_features=user_features,
            item_features=item_features,
            num_threads=threads,
        )
        after_epoch(*spent, vectors)


if __name__ == "__main__":
    main(train)
