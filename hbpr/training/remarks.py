"""What of the data a training makes less of than it could, in words; without torch."""

from typing import Final

from hbpr.data.interactions import Interactions
from hbpr.settings.models import (
    AnyNegatives,
    AutoNegatives,
    BlockNegatives,
    MixedNegatives,
    ObservedNegatives,
)

#: Share of a positive that an observed negative is where it is no candidate, see decision 0044.
OBSERVED_AS_POSITIVE: Final = 0.2


def remarks(negatives: AnyNegatives, data: Interactions) -> list[str]:
    """Return what is to be said of how training uses observed negatives."""
    said = (each(negatives, data) for each in (unused_negatives, misplaced_negatives))
    return [remark for remark in said if remark is not None]


def unused_negatives(negatives: AnyNegatives, data: Interactions) -> str | None:
    """Say in words that observed negatives were supplied and training does not look at them."""
    n_observed = data.train_negatives.n_pairs
    if n_observed == 0:
        return None
    if isinstance(negatives, BlockNegatives):
        if negatives.observed_weight != 1.0 or negatives.observed_as_positive or data.unseen:
            return None
        return (
            f"{data.name}: {n_observed:,} observed negatives count as any other item; "
            "training.negatives.observed_weight says how much more"
        )
    if isinstance(negatives, ObservedNegatives | MixedNegatives | AutoNegatives):
        return None
    return (
        f"{data.name}: training.negatives.kind {negatives.kind} does not tell {n_observed:,} "
        "observed negatives from other items; kinds observed, mixed, all and shared do"
    )


def misplaced_negatives(negatives: AnyNegatives, data: Interactions) -> str | None:
    """Say in words that training pushes down what was seen, though it is no candidate.

    None where nothing is to be said.
    """
    n_observed = data.train_negatives.n_pairs
    if not (data.unseen and n_observed and isinstance(negatives, BlockNegatives)):
        return None
    if negatives.observed_weight <= 1.0:
        return None
    return (
        f"{data.name}: data.candidates unseen never ranks what a user has seen, and "
        f"training.negatives.observed_weight above 1 pushes {n_observed:,} observed negatives down "
        f"all the same; observed_weight 1 with observed_as_positive {OBSERVED_AS_POSITIVE:g}, "
        "which kind auto takes, ranks better"
    )
