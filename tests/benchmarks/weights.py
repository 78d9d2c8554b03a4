"""What transforms of interaction weights are worth: validation and test NDCG@10, raw to none.

Two tables: the quantities of Online Retail (customer, product, pieces bought), and a generated log
of plays, whose weights are log-normal (sigma 2.5) around what the user likes.

    python tests/benchmarks/weights.py --seeds 3
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from hbpr.data import UserItemData
from hbpr.data.weights import spread
from hbpr.evaluation import evaluate_part
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.settings.start import good_start
from hbpr.training.trainer import Trainer

RULES = {"none at all": None, "raw": ("none",), "sqrt": ("sqrt",), "log1p": ("log1p",)}


def retail() -> pd.DataFrame:
    """Return what customers of Online Retail bought, a row each."""
    home = Path(os.environ["HBPR_DATA_HOME"])
    rows = pd.read_csv(home / "uci-online-retail/online_retail.csv", dtype={"StockCode": str})
    rows = rows[(rows["Quantity"] > 0) & rows["CustomerID"].notna()]
    return pd.DataFrame(
        {
            "user": rows["CustomerID"].astype(int),
            "item": rows["StockCode"],
            "weight": rows["Quantity"].astype(float),
        }
    )


def plays(n_users: int = 2_000, n_items: int = 1_500) -> pd.DataFrame:
    """Return a generated log: 40 items of a user, played as often as liked, times chance."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(n_users, 6)), rng.normal(size=(n_items, 6))
    taste = users @ items.T / np.sqrt(6) + rng.normal(size=n_items)
    chosen = np.argsort(-(taste + rng.gumbel(size=taste.shape)), axis=1)[:, :40]
    rows = np.repeat(np.arange(n_users), 40)
    liked = taste[rows, chosen.ravel()]
    weights = np.ceil(np.exp(1.5 + liked + 2.5 * rng.normal(size=len(rows))))
    return pd.DataFrame({"user": rows, "item": chosen.ravel(), "weight": weights})


def data_of(name: str, frame: pd.DataFrame, rule: tuple[str, ...] | None) -> UserItemData:
    """Return the table with weights as a rule has them."""
    keys = {"user": "user", "item": "item"}
    if rule is None:
        return UserItemData.from_frame(frame, name=name, **keys)
    data = UserItemData.from_frame(frame, name=name, weight="weight", **keys)
    data.transform_weights(*rule)  # type: ignore[arg-type]
    return data


def main() -> None:
    """Measure and print one line for each table, loss and rule."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=3)
    n_seeds = arguments.parse_args().seeds
    pairwise = with_values(TrialSettings(), {"training.n_iter": 60, "model.n_latent": 64})
    for table, frame in {"online retail": retail(), "generated plays": plays()}.items():
        raw = data_of(table, frame, RULES["raw"]).assemble().positives.weights
        assert raw is not None
        sys.stdout.write(f"{table}: {len(raw):,} positives, {spread(raw)}\n")
        heavy = float(np.quantile(raw, 0.95))
        for rule, how in {**RULES, f"cap {heavy:g}": ("cap", heavy)}.items():
            data = data_of(table, frame, how).to_interactions()
            for label, start in (("softmax, all items", good_start()), ("bpr", pairwise)):
                found: dict[str, list[float]] = {"val": [], "test": []}
                for seed in range(n_seeds):
                    trainer = Trainer(data, with_values(start, {"training.seed": seed}))
                    list(trainer)
                    model = trainer.best_model()
                    for part in ("val", "test"):
                        metrics = evaluate_part(model, data, part, [10]).metrics  # type: ignore[arg-type]
                        found[part].append(metrics[f"{part}/ndcg_at_10"])
                told = "  ".join(
                    f"{part} {statistics.fmean(values):.4f} +- {statistics.pstdev(values):.4f}"
                    for part, values in found.items()
                )
                sys.stdout.write(f"{table}  {label:20} {rule:12} {told}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
