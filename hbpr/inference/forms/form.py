"""What a trained model must offer to answer, whatever it is made of.

Shapes: U users, I items, B rows of a block, d size of an item's vector.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features, Interactions
from hbpr.inference.top_k import BlockScorer
from hbpr.settings.models import TrialSettings


class Form(Protocol):
    """A model that scores the whole catalogue for known, described and newly met users."""

    def score_users(self, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """(B, I) scores of known users, by index; the caller may overwrite them."""

    def score_features(self, features: Features) -> NDArray[np.float32]:
        """(B, I) scores of users who are known by their features alone.

        Raises:
            DataError: The model knows users by their history alone.
        """

    def score_history(
        self, items: NDArray[np.int64], features: Features | None
    ) -> NDArray[np.float32]:
        """(1, I) scores of a user who has chosen some distinct items, at least one.

        Args:
            items: (h,) item indices.
            features: (1, P) features of the user; None: not known.
        """

    def item_likeness(self) -> BlockScorer:
        """Return a function from (B,) items to (B, I): how much alike each item is to all."""

    def user_likeness(self) -> BlockScorer:
        """Return a function from (B,) users to (B, U): how much alike each user is to all."""

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) vectors whose cosines say how alike two items are."""


@dataclass(frozen=True)
class Source:
    """What a form is made from.

    Attributes:
        weights: What the model learned, by name.
        data: What it was trained on.
        settings: What it was trained with.
    """

    weights: Mapping[str, NDArray[Any]]
    data: Interactions
    settings: TrialSettings


FormLoader = Callable[[Source], Form]
