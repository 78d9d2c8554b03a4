"""Preparing what the compiled loops draw negatives from."""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Interactions
from hbpr.models import MatrixFactorization
from hbpr.settings.models import (
    AdaptiveNegatives,
    MixedNegatives,
    NegativeSettings,
    PopularityNegatives,
)
from hbpr.training.fused.draws import KINDS, Pools, alias_table


def make_pools(settings: NegativeSettings, data: Interactions) -> Pools:
    """Build the pools of a dataset; `follow` brings the adaptive ones up to the model."""
    catalogue = np.zeros(0, np.int32)
    if data.trainable_items is not None:
        catalogue = np.flatnonzero(data.trainable_items).astype(np.int32)
    n_places = len(catalogue) or data.n_items
    keep, alias = np.ones(1, np.float32), np.zeros(1, np.int32)
    if isinstance(settings, PopularityNegatives):
        counts = np.bincount(data.train.items, minlength=data.n_items).astype(np.float64)
        keep, alias = alias_table(
            (counts[catalogue] if len(catalogue) else counts) ** settings.alpha
        )
    observed = settings.observed if isinstance(settings, MixedNegatives) else 0.0
    share = settings.adaptive_share if isinstance(settings, AdaptiveNegatives) else 1.0
    mean_rank = max(1.0, share * n_places)
    return Pools(
        kind=KINDS[settings.kind],
        observed_share=np.float32(observed),
        observed_indptr=data.train_negatives.indptr,
        observed_items=data.train_negatives.items,
        keep=keep,
        alias=alias,
        ranked=np.zeros((1, 1), np.int32),
        spread=np.zeros(1, np.float32),
        users=np.zeros((1, 1), np.float32),
        decay=np.float32(np.log1p(-1.0 / (1.0 + mean_rank))),
        catalogue=catalogue,
    )


def positions_of(data: Interactions, pools: Pools) -> NDArray[np.int32]:
    """(n_pairs,) training positives as places among the items that training may meet."""
    if len(pools.catalogue) == 0:
        return data.train.items
    return np.searchsorted(pools.catalogue, data.train.items).astype(np.int32)


def follow(pools: Pools, model: MatrixFactorization) -> Pools:
    """Rank the items by each of the model's factors anew; other kinds stay as they are."""
    if pools.kind != KINDS["adaptive"]:
        return pools
    vectors_dI = model.item_vectors().T
    if len(pools.catalogue):
        vectors_dI = vectors_dI[:, pools.catalogue]
    return pools._replace(
        ranked=np.argsort(-vectors_dI, axis=1).astype(np.int32),
        spread=vectors_dI.std(axis=1),
        users=model.user_vectors(),
    )
