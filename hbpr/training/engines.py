"""Choosing the engine: the fastest that covers the settings, and the reason in words."""

from typing import Final

import numpy as np

from hbpr.data.interactions import Interactions
from hbpr.errors import EngineError
from hbpr.models import FeatureRecommender, MatrixFactorization, Recommender, SolvedRecommender
from hbpr.models.similarity import popularity_of_positives
from hbpr.settings.models import (
    AllNegatives,
    AnyNegatives,
    AutoNegatives,
    BlockNegatives,
    MixedNegatives,
    SharedNegatives,
    TrialSettings,
    UniformNegatives,
)
from hbpr.training.autograd import AutogradEngine
from hbpr.training.engine import Engine
from hbpr.training.fused import FusedEngine, why_not_fused
from hbpr.training.listwise import ListwiseEngine, memory_mib, why_not_listwise
from hbpr.training.remarks import OBSERVED_AS_POSITIVE
from hbpr.training.solve import SolveEngine

#: How often observed negatives count where they stay candidates.
_OBSERVED_WEIGHT: Final = 3.0
#: Positives near these first places count more, see decision 0026.
_TOP: Final = 20
#: Share of the users who share a positive below which a user's positives mask each other.
_SPREAD: Final = 0.05
#: Steps of an epoch where there are few users, and users of a block at least.
_STEPS: Final = 8
_LEAST_BLOCK: Final = 32


def make_engine(
    model: Recommender, data: Interactions, settings: TrialSettings, *, threads: int = 1
) -> tuple[Engine, str]:
    """Build the engine that the settings ask for.

    Args:
        model: Trained in place.
        data: Its training part is read.
        settings: ``training.engine`` decides; ``auto`` takes the fastest that fits. A model that
            is solved for has one engine, whatever they say.
        threads: CPU threads that the fused and the listwise engine may use.

    Returns:
        The engine, and one sentence that says why it is this one.

    Raises:
        EngineError: The engine asked for does not cover the settings, or none does.
        ConfigError: Every item is to be met at once, and the memory of a block does not allow it.
    """
    if isinstance(model, SolvedRecommender):
        return SolveEngine(model, threads=threads), f"model.kind {settings.model.kind} is solved"
    asked = settings.training.engine
    negatives = negatives_for(model, data, settings)
    found = ""
    if negatives is not settings.training.negatives:
        found = f"; training.negatives.kind auto: {negatives.kind}"
        training = settings.training.model_copy(update={"negatives": negatives})
        settings = settings.model_copy(update={"training": training})
    if asked == "listwise" or isinstance(negatives, BlockNegatives):
        gap = why_not_listwise(model, settings)
        if asked in ("auto", "listwise") and gap is None:
            assert isinstance(model, MatrixFactorization)
            reason = "negatives of a block" if asked == "auto" else "it was asked for"
            training, rule = settings.training, settings.optimizer
            return ListwiseEngine(model, data, rule, training, threads=threads), reason + found
        raise EngineError(_no_listwise(settings, gap))
    gap = why_not_fused(model, settings)
    if asked == "fused" and gap is not None:
        raise EngineError(
            f"training.engine: fused does not cover these settings: {gap}. "
            "Change it, or set training.engine to auto or autograd."
        )
    if asked == "autograd" or gap is not None:
        reason = "it was asked for" if asked == "autograd" else f"fused does not fit: {gap}"
        assert isinstance(model, FeatureRecommender)
        autograd = AutogradEngine(model, data, settings.optimizer, settings.training)
        return autograd, reason + found
    assert isinstance(model, MatrixFactorization)
    reason = "it was asked for" if asked == "fused" else "the fastest that covers the settings"
    engine = FusedEngine(model, data, settings.optimizer, settings.training, threads=threads)
    return engine, reason + found


def negatives_for(model: Recommender, data: Interactions, settings: TrialSettings) -> AnyNegatives:
    """Return the negatives that training uses: those of the settings, or what ``auto`` stands for.

    For `softmax_loss` of matrix factorization that is every item, or where a block of that takes
    more memory than by default allowed, a sample that the block shares. Observed negatives count
    three times, or, where they are no candidates, as a fifth of a positive. Positives near the
    first places count more; where few users share a positive, the user's other positives do not
    count against it.
    Blocks are small enough for some eight steps an epoch where there are few users. For what
    trains triple by triple it is a mix of observed and uniform ones where there are observed ones,
    else uniform.
    """
    training = settings.training
    auto = training.negatives
    if not isinstance(auto, AutoNegatives):
        return auto
    n_users = int((data.train.counts > 0).sum())
    most = AllNegatives.model_fields["block_users"].default
    block = {
        "observed_weight": 1.0 if data.unseen else _OBSERVED_WEIGHT,
        "observed_as_positive": OBSERVED_AS_POSITIVE if data.unseen else 0.0,
        "mask_positives": popularity_of_positives(data) < _SPREAD,
        "top_weight": _TOP,
        "block_users": int(np.clip(n_users // _STEPS, _LEAST_BLOCK, most)),
    }
    every = AllNegatives.model_validate(block)
    wanted = training.model_copy(update={"negatives": every})
    gap = why_not_listwise(model, settings.model_copy(update={"training": wanted}))
    listwise = training.loss_function == "softmax_loss" or training.engine == "listwise"
    if gap is None and listwise and training.engine in ("auto", "listwise"):
        assert isinstance(model, MatrixFactorization)
        if memory_mib(data, model.n_latent) > every.block_mib:
            return SharedNegatives.model_validate(block)
        return every
    drawn = auto.model_dump(exclude={"kind"})
    return (MixedNegatives if data.train_negatives.n_pairs else UniformNegatives)(**drawn)


def _no_listwise(settings: TrialSettings, gap: str | None) -> str:
    """Return the message that names what does not fit."""
    training = settings.training
    if gap is None:
        return (
            f"training.engine: {training.engine} draws negatives for each positive, and "
            f"training.negatives.kind {training.negatives.kind} is for blocks of users; set "
            "training.engine to auto or listwise, or take a kind such as uniform"
        )
    if training.engine == "listwise":
        return (
            f"training.engine: listwise does not cover these settings: {gap}. "
            "Change it, or set training.engine to auto."
        )
    return (
        f"training.negatives.kind: {training.negatives.kind} is for the listwise engine, which "
        f"does not cover these settings: {gap}. Change it, or take a kind such as uniform."
    )
