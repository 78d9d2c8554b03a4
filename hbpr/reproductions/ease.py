"""EASE with the regularisation that validation chooses: the baseline of several rows."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from hbpr.data.interactions import Interactions
from hbpr.evaluation import Ease
from hbpr.reproductions.seeds import score_validation
from hbpr.settings.models import TrainingSettings

#: What validation chooses from, unless a row says otherwise.
REGULARISATIONS: Final = (30.0, 100.0, 200.0, 400.0, 800.0, 1600.0)


def best_regularisation(
    splits: Sequence[Interactions],
    training: TrainingSettings,
    regularisations: Sequence[float] = REGULARISATIONS,
) -> float:
    """Return the regularisation with the best mean of ``training.monitor`` over some splits.

    Args:
        splits: Splits of the same data, each with a validation part.
        training: Its `monitor` judges, its `top_k` are the lengths of lists.
        regularisations: What is tried.
    """

    def value(regularisation: float) -> float:
        return fmean(
            score_validation(
                Ease(split.train, regularisation=regularisation), split, training.top_k
            )[training.monitor]
            for split in splits
        )

    return max(regularisations, key=value)
