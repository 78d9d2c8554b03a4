"""RecBole's side: its BPR on torch, its data loader with negative sampling, its full sort.

Its working files go to the current folder, which is a temporary one.
"""

from logging import CRITICAL, disable
from pathlib import Path

import numpy as np
import torch
from common import Data, Timer, Vectors, main
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer

TOP_K_METRICS = ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP"]
NAMES = {"train": "train", "validation": "valid", "test": "test"}


def write_split(data: Data) -> None:
    """Write the split in its format."""
    folder = Path("bench")
    folder.mkdir(exist_ok=True)
    for part, name in NAMES.items():
        users, items = data.pairs(part)
        rows = "".join(f"{u}\t{i}\n" for u, i in zip(users, items, strict=True))
        path = folder / f"bench.{name}.inter"
        path.write_text("user_id:token\titem_id:token\n" + rows)


def configure(data: Data, settings: dict, **more: object) -> Config:
    """Its settings, over the files of `write_split`."""
    disable(CRITICAL)
    return Config(
        model="BPR",
        dataset="bench",
        config_dict={
            "data_path": ".",
            "benchmark_filename": list(NAMES.values()),
            "load_col": {"inter": ["user_id", "item_id"]},
            "embedding_size": settings["d"],
            "learner": "adam",
            "learning_rate": settings.get("lr", 0.001),
            "train_batch_size": settings.get("batch_size", 4096),
            "eval_batch_size": 256 * data.n_items,
            "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
            "metrics": TOP_K_METRICS + (["GAUC"] if settings.get("auc") else []),
            "topk": [10, 20],
            "metric_decimal_place": 12,
            "valid_metric": "NDCG@10",
            "use_gpu": False,
            "show_progress": False,
            "seed": settings.get("seed", 0),
            **more,
        },
    )


def prepare(data: Data, settings: dict, d: int):
    """Write the split in its format, and load it by its own functions."""
    write_split(data)
    config = configure(data, {**settings, "d": d})
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    return config, dataset, loaders, BPR(config, loaders[0].dataset)


def tables(model: BPR, dataset):
    """Its user and item embeddings, and our index of each row but the first, which pads."""
    for embedding, field in (
        (model.user_embedding, dataset.uid_field),
        (model.item_embedding, dataset.iid_field),
    ):
        yield embedding, dataset.field2id_token[field][1:].astype(int)


def train(data: Data, settings: dict, threads: int, after_epoch) -> None:
    """Train epoch by epoch, its loader's sampling included."""
    torch.set_num_threads(threads)
    config, dataset, (loader, _, _), model = prepare(data, settings, settings["d"])
    trainer = Trainer(config, model)

    def vectors() -> Vectors:
        users, items = (
            np.zeros((n, settings["d"]), np.float32) for n in (data.n_users, data.n_items)
        )
        for table, (embedding, tokens) in zip((users, items), tables(model, dataset), strict=True):
            table[tokens] = embedding.weight.detach().numpy()[1:]
        return users, items, np.zeros(data.n_items, np.float32)

    for epoch in range(settings["epochs"]):
        timer = Timer()
        trainer._train_epoch(loader, epoch, show_progress=False)
        after_epoch(*timer.stop(), vectors)


def make_evaluation(data: Data, settings: dict, vectors: Vectors, threads: int):
    """Its full sort: six metrics at 10 and 20, and AUC per user if asked for."""
    torch.set_num_threads(threads)
    users, items, _ = vectors
    config, dataset, (_, _, loader), model = prepare(data, settings, users.shape[1])
    for table, (embedding, tokens) in zip((users, items), tables(model, dataset), strict=True):
        embedding.weight.data[1:] = torch.from_numpy(table[tokens])
    trainer = Trainer(config, model)

    def evaluate() -> dict[str, float]:
        found = trainer.evaluate(loader, load_best_model=False, show_progress=False)
        return {"test/ndcg_at_10": found["ndcg@10"], "test/map_at_10": found["map@10"]}

    return evaluate


if __name__ == "__main__":
    main(train, make_evaluation)
