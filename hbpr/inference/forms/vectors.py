"""Models whose score is an inner product of two vectors, plus a bias: no torch is needed.

Shapes: U users, I items, B rows of a block, d size of a vector, P user features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features
from hbpr.inference.fit_vector import Fitter
from hbpr.inference.forms.form import Source
from hbpr.inference.forms.item_item import no_features
from hbpr.inference.top_k import BlockScorer
from hbpr.neighbours import cosine_scorer
from hbpr.settings.models import IalsSettings, MfSettings, NegativeSettings, TrialSettings

#: (h,) items and the vector before any history, or None, to the (d,) vector of who has them.
HistoryFit = Callable[[NDArray[np.int64], NDArray[np.float32] | None], NDArray[np.float32]]


@dataclass(frozen=True)
class Vectors:
    """Final vectors of users and items, see `hbpr.inference.forms.form.Form`.

    Attributes:
        users: (U, d) float32.
        items: (I, d) float32.
        biases: (I,) float32 item biases, or None.
        describe: From (B, P) features to (B, d) final vectors of such users.
        fit: The vector of a history.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    biases: NDArray[np.float32] | None
    describe: Callable[[Features], NDArray[np.float32]]
    fit: HistoryFit

    @cached_property
    def _transposed(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.items.T)

    def score_users(self, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """(B, I) scores of known users."""
        return self._score(self.users[users])

    def score_features(self, features: Features) -> NDArray[np.float32]:
        """(B, I) scores of described users."""
        return self._score(self.describe(features))

    def score_history(
        self, items: NDArray[np.int64], features: Features | None
    ) -> NDArray[np.float32]:
        """(1, I) scores of a user with some items."""
        prior = None if features is None else self.describe(features)[0]
        return self._score(self.fit(items, prior)[None])

    def item_likeness(self) -> BlockScorer:
        """Cosines of item vectors, biases left out."""
        return cosine_scorer(self.items)

    def user_likeness(self) -> BlockScorer:
        """Cosines of user vectors."""
        return cosine_scorer(self.users)

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) vectors."""
        return self.items

    def _score(self, users_Bd: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = users_Bd @ self._transposed
        if self.biases is not None:
            scores += self.biases
        return np.asarray(scores, np.float32)


def load_factorization(source: Source) -> Vectors:
    """Make the final vectors of a `hbpr.models.MatrixFactorization` from its weights."""
    model, data, weights = source.settings.model, source.data, source.weights
    assert isinstance(model, MfSettings)  # the table of forms says so
    cosine = model.similarity == "cosine"
    temperature = float(weights["temperature"]) if "temperature" in weights else 1.0
    user_weights = weights["U"]

    def final_users(features: Features) -> NDArray[np.float32]:
        sums = sums_of(features, user_weights)
        if cosine:
            sums = units(sums)
        return sums if temperature == 1.0 else sums / np.float32(temperature)

    items = sums_of(data.item_features, weights["V"])
    if cosine:
        items = units(items)
    biases = sums_of(data.item_features, weights["b"]) if model.item_bias else None
    trainable = data.trainable_items
    fitter = Fitter(
        items,
        biases,
        history_regularisation(source.settings),
        cosine,
        temperature,
        None if trainable is None else np.flatnonzero(trainable),
    )
    return Vectors(final_users(data.user_features), items, biases, final_users, fitter.fit)


def load_ials(source: Source) -> Vectors:
    """Take the vectors of a `hbpr.models.Ials`; a history's vector is solved for as in training."""
    model = source.settings.model
    assert isinstance(model, IalsSettings)  # the table of forms says so
    users, items = (np.asarray(source.weights[name], np.float32) for name in ("U", "V"))
    gram = model.unobserved_weight * (items.T.astype(np.float64) @ items)

    def fit(chosen: NDArray[np.int64], prior: NDArray[np.float32] | None) -> NDArray[np.float32]:
        own = items[chosen].astype(np.float64)
        cells = len(chosen) + model.unobserved_weight * len(items)
        ridge = model.scaled_l2 * cells**model.l2_exponent
        curve = own.T @ own + gram + ridge * np.eye(len(gram))
        return np.asarray(np.linalg.solve(curve, own.sum(0)), np.float32)

    def describe(_: Features) -> NDArray[np.float32]:
        raise no_features("iALS")

    return Vectors(users, items, None, describe, fit)


def history_regularisation(settings: TrialSettings) -> float:
    """Return the L2 of a user's vector for each item of the user's history, as trained with."""
    negatives = settings.training.negatives
    drawn = negatives.per_positive if isinstance(negatives, NegativeSettings) else 1
    return settings.optimizer.reg_user / drawn


def sums_of(features: Features, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``features @ weights`` for all rows; `weights` itself with one feature of its own each."""
    if features.is_identity:
        return weights
    return np.asarray(features.to_csr() @ weights, np.float32)


def units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide vectors (..., d) by their lengths; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, np.float32(1.0)), np.float32)
