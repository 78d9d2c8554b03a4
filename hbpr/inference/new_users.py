"""Users who are not in the data, for a model that was trained: their vectors, and lists by these.

Shapes: h items of a history, d size of a vector, p of what features are summed in.
"""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Interactions, UserItems
from hbpr.inference.described import Labels, features_of
from hbpr.inference.fold_in import fold_in
from hbpr.inference.top_k import Lists, top_k_of
from hbpr.models import FeatureRecommender, Recommender, SolvedRecommender
from hbpr.settings.models import NegativeSettings, TrialSettings


def vector_of_features(
    place: str, model: Recommender, data: Interactions, labels: Labels
) -> NDArray[np.float32]:
    """Return the (p,) vector of a user with these features.

    Args:
        place: What asks, for messages.
        model: The model.
        data: What it was trained on.
        labels: Names of features, or names with weights.

    Raises:
        DataError: A feature is unknown, there is none, or the data have no named features.
    """
    features = features_of(place, [labels], data.user_feature_names)
    return np.asarray(model.user_vectors(features)[0])


def vector_of_history(
    model: Recommender,
    data: Interactions,
    settings: TrialSettings,
    items: NDArray[np.int64],
    prior: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Return the (d,) vector of a user with a history.

    Args:
        model: The model; it stays as it is.
        data: What it was trained on.
        settings: What it was trained with.
        items: (h,) distinct items, by index.
        prior: The vector of the user's features; None: not known.
    """
    if isinstance(model, SolvedRecommender):
        return model.fold_in(items)
    assert isinstance(model, FeatureRecommender)
    trainable = data.trainable_items
    negatives = settings.training.negatives
    drawn = negatives.per_positive if isinstance(negatives, NegativeSettings) else 1
    return fold_in(
        model,
        items,
        regularisation=settings.optimizer.reg_user / drawn,
        prior=prior,
        pool=None if trainable is None else np.flatnonzero(trainable),
    )


def list_of_vector(
    model: Recommender, vector: NDArray[np.float32], k: int, seen: NDArray[np.int64] | None
) -> Lists:
    """Return the list of one user, by the user's vector.

    Args:
        model: The model.
        vector: The user's vector.
        k: Length of the list.
        seen: Items to leave out, by index; None: none.
    """
    score, n_items, exclude = model.vector_scorer(), model.n_items, None
    if seen is not None:
        exclude = UserItems.from_pairs(np.zeros_like(seen), seen, n_users=1, n_items=n_items)
    one = np.zeros(1, np.int64)
    return top_k_of(lambda _: score(vector[None]), one, n_items, k, exclude=exclude)
