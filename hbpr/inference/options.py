"""Whom a list is for, and what it shall be like: length, choice, and what counts beside scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hbpr.errors import ConfigError
from hbpr.inference.described import Labels
from hbpr.inference.text_ids import Id


@dataclass(frozen=True)
class ListOptions:
    """How to choose a list.

    Attributes:
        k: Length, at least 1; a list is shorter where there are fewer candidates.
        exclude_seen: Leave out what the user has in the training data or in the given history.
        allow_items: Only these items may be listed; None: all.
        deny_items: These may not.
        item_features: Only items with one of these features may be listed; empty: all.
        diversity: 0 to 1, how much likeness to what stands above counts against the score; 0: the
            best scores alone. See `hbpr.inference.diversity`.
        popularity_discount: What the most popular item loses, in standard deviations of the user's
            scores; others in proportion to the log of their users. 0: nothing.

    Raises:
        ConfigError: A value is outside of its range.
    """

    k: int = 10
    exclude_seen: bool = True
    allow_items: Sequence[Any] | None = None
    deny_items: Sequence[Any] = ()
    item_features: Sequence[str] = ()
    diversity: float = 0.0
    popularity_discount: float = 0.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be at least 1, got {self.k}")
        if not 0.0 <= self.diversity <= 1.0:
            raise ConfigError(f"diversity must be from 0 to 1, got {self.diversity}")
        if not 0.0 <= self.popularity_discount < float("inf"):
            raise ConfigError(
                f"popularity_discount must be at least 0 and finite, got {self.popularity_discount}"
            )

    @property
    def is_plain(self) -> bool:
        """Whether the list is that of the best scores among all items."""
        return (
            self.allow_items is None
            and not (self.deny_items or self.item_features)
            and not (self.diversity or self.popularity_discount)
        )


@dataclass(frozen=True)
class Someone:
    """Whom a list is for: a known user, or a new one by features, a history, or both.

    Attributes:
        user: Id of a known user.
        history: Ids of items chosen by a user who is not known.
        features: Names of features of a user who is not known, or names with weights.
    """

    user: Id | None = None
    history: Sequence[Id] | None = None
    features: Labels | None = None
