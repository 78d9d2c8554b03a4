"""Parts of one's own, as docs/guides/your-own-parts.md shows them."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from torch import nn
from torch.nn.functional import logsigmoid

from hbpr.models import FeatureRecommender
from tune.schedulers import SchedulerSettings


# --- a loss
def focal_loss(positive_B, negative_BN):
    """-(1 - p)² log p of p = sigmoid(positive - negative), summed over the negatives."""
    gap = positive_B.unsqueeze(1) - negative_BN
    return -((1.0 - gap.sigmoid()).square() * logsigmoid(gap)).sum(1)


# --- a metric
def early_hit(ranks, k):
    """Whether the best of a user's held-out items is in the first half of a list of k."""
    best = np.minimum.reduceat(ranks.ranks, ranks.indptr[:-1])
    return (best < k / 2).astype(np.float64)


# --- a model
class ScaledFactorization(FeatureRecommender):
    """Inner products with a learnt weight for each dimension."""

    def __init__(
        self,
        user_features,
        item_features,
        *,
        n_latent: Annotated[int, Field(ge=1, le=512)] = 32,
        scale: Annotated[float, Field(gt=0.0)] = 1.0,
        side: Literal["both", "user"] = "both",
        seed: int = 0,
    ):
        random = torch.Generator().manual_seed(seed)

        def first(n_features):
            return 0.1 * torch.randn(n_features, n_latent, generator=random)

        super().__init__(
            user_features,
            item_features,
            first(user_features.n_features),
            first(item_features.n_features),
            item_bias=side == "both",
        )
        self.weights = nn.Parameter(torch.full((n_latent,), scale))

    def score(self, users, items, biases):
        scores = (users * self.weights * items).sum(-1)
        return scores if biases is None else scores + biases

    def vector_scorer(self):
        weights = self.weights.detach().cpu().numpy()
        items_dI = np.ascontiguousarray((self.item_vectors() * weights).T)
        biases_I = self.item_biases()
        return lambda users_Bd: users_Bd @ items_dI + biases_I


# --- a source
def two_camps(settings):
    """Even users like even items and odd ones odd items."""
    random = np.random.default_rng(settings.split.seed)
    users, items = np.indices((60, 40)).reshape(2, -1)
    liked = (users % 2 == items % 2) & (random.random(len(users)) < 0.7)
    return pd.DataFrame({"user": users[liked], "item": items[liked]})


# --- a scheduler
class Halfway(SchedulerSettings):
    """A trial ends after some epochs if it is below a fixed value."""

    epoch: int = Field(2, ge=1, description="Epoch after which trials are judged.")
    value: float = Field(0.1, description="What they must have reached.")

    def evaluate_at(self, max_epochs):
        return (self.epoch,)

    def make(self, context):
        return context.searcher, _HalfwayRule(self, context.metric)


class _HalfwayRule(FIFOScheduler):
    def __init__(self, settings, metric):
        super().__init__()
        self.settings, self.watched = settings, metric

    def on_trial_result(self, controller, trial, result):
        judged = result["epoch"] == self.settings.epoch and self.watched in result
        low = judged and result[self.watched] < self.settings.value
        return TrialScheduler.STOP if low else TrialScheduler.CONTINUE
