"""Models that score with torch: networks, and models from outside."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hbpr.data.interactions import Features
from hbpr.inference.fold_in import fold_in
from hbpr.inference.forms.form import Source
from hbpr.inference.forms.vectors import history_regularisation
from hbpr.inference.top_k import BlockScorer
from hbpr.models import FeatureRecommender, build_model
from hbpr.models.recommender import VectorScorer
from hbpr.neighbours import cosine_scorer


@dataclass(frozen=True)
class Network:
    """A torch model, see `hbpr.inference.forms.form.Form`.

    Attributes:
        model: The model, in evaluation mode.
        users: (U, d) vectors of the known users.
        score: Scores blocks of such vectors; what depends on items alone was computed once.
        regularisation: Of the vector that is fitted to a history.
        pool: Items that may stand against a history; None: all.
    """

    model: FeatureRecommender
    users: NDArray[np.float32]
    score: VectorScorer
    regularisation: float
    pool: NDArray[np.int64] | None

    def score_users(self, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """(B, I) scores of known users."""
        return self.score(self.users[users])

    def score_features(self, features: Features) -> NDArray[np.float32]:
        """(B, I) scores of described users."""
        return self.score(self.model.user_vectors(features))

    def score_history(
        self, items: NDArray[np.int64], features: Features | None
    ) -> NDArray[np.float32]:
        """(1, I) scores of a user with some items."""
        prior = None if features is None else self.model.user_vectors(features)[0]
        vector = fold_in(
            self.model, items, regularisation=self.regularisation, prior=prior, pool=self.pool
        )
        return self.score(vector[None])

    def item_likeness(self) -> BlockScorer:
        """Cosines of item vectors, biases left out."""
        return cosine_scorer(self.model.item_vectors())

    def user_likeness(self) -> BlockScorer:
        """Cosines of user vectors."""
        return cosine_scorer(self.users)

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) vectors."""
        return self.model.item_vectors()


def load_network(source: Source) -> Network:
    """Build the model that the settings name and give it its weights."""
    settings, data = source.settings, source.data
    model = build_model(settings.model, data, seed=settings.training.seed)
    assert isinstance(model, FeatureRecommender)  # others have forms of their own
    model.load_arrays(source.weights)
    model.eval()
    trainable = data.trainable_items
    with torch.no_grad():
        return Network(
            model,
            model.user_vectors(),
            model.vector_scorer(),
            history_regularisation(settings),
            None if trainable is None else np.flatnonzero(trainable),
        )
