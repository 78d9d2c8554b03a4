"""A baseline: a scorer fitted on interactions, with few settings that validation chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hbpr.data.interactions import Interactions, UserItems
from hbpr.evaluation import Scorer


def _never(data: Interactions) -> None:
    """No data are too large for it."""


@dataclass(frozen=True)
class Baseline:
    """A method to compare with.

    Attributes:
        label: Its name for people.
        fit: Learns from (U, I) interactions: ``fit(train, **values)``.
        grid: Values of its settings that are tried; validation chooses.
        left_out: Why it is left out for a dataset, in words; None: it is not.
    """

    label: str
    fit: Callable[..., Scorer]
    grid: Sequence[Mapping[str, Any]] = ({},)
    left_out: Callable[[Interactions], str | None] = _never


@dataclass(frozen=True)
class ChosenBaseline:
    """A baseline with the settings that validation chose.

    Attributes:
        name: Its name in `BASELINES`.
        baseline: What it is.
        values: Its settings.
    """

    name: str
    baseline: Baseline
    values: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.baseline.label

    def fit(self, train: UserItems) -> Scorer:
        """Learn from interactions."""
        return self.baseline.fit(train, **self.values)
