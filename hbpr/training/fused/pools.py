"""Preparing what the compiled loops draw negatives from."""

import numpy as np

from hbpr.data.interactions import Interactions
from hbpr.models import MatrixFactorization
from hbpr.settings.models import NegativeSettings
from hbpr.training.fused.draws import KINDS, Pools, alias_table


def make_pools(settings: NegativeSettings, data: Interactions) -> Pools:
    """Build the pools of a dataset; `follow` brings the adaptive ones up to the model."""
    keep, alias = np.ones(1, np.float32), np.zeros(1, np.int32)
    if settings.kind == "popularity":
        counts = np.bincount(data.train.items, minlength=data.n_items)
        keep, alias = alias_table(counts.astype(np.float64) ** settings.alpha)
    mean_rank = max(1.0, settings.adaptive_share * data.n_items)
    return Pools(
        kind=KINDS[settings.kind],
        observed_share=np.float32(settings.observed),
        observed_indptr=data.train_negatives.indptr,
        observed_items=data.train_negatives.items,
        keep=keep,
        alias=alias,
        ranked=np.zeros((1, 1), np.int32),
        spread=np.zeros(1, np.float32),
        users=np.zeros((1, 1), np.float32),
        decay=np.float32(np.log1p(-1.0 / (1.0 + mean_rank))),
    )


def follow(pools: Pools, model: MatrixFactorization) -> Pools:
    """Rank the items by each of the model's factors anew; other kinds stay as they are."""
    if pools.kind != KINDS["adaptive"]:
        return pools
    vectors_dI = model.item_vectors().T
    return pools._replace(
        ranked=np.argsort(-vectors_dI, axis=1).astype(np.int32),
        spread=vectors_dI.std(axis=1),
        users=model.user_vectors(),
    )
