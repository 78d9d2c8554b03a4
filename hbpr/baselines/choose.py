"""Choosing the settings of baselines on validation."""

import logging
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from hbpr.baselines import BASELINES, Baseline, ChosenBaseline
from hbpr.data.interactions import Interactions
from hbpr.evaluation import evaluate_part
from hbpr.settings.models import TrainingSettings

_log = logging.getLogger(__name__)


def choose_baselines(data: Interactions, training: TrainingSettings) -> list[ChosenBaseline]:
    """Choose the settings of every baseline that a dataset allows, in the order of the table.

    Args:
        data: A split dataset with a validation part.
        training: Its `monitor` judges, its `top_k` are the lengths of lists.
    """
    chosen = []
    for name, baseline in BASELINES.items():
        reason = baseline.left_out(data)
        if reason is not None:
            _log.info("%s is left out: %s", baseline.label, reason)
            continue
        chosen.append(ChosenBaseline(name, baseline, choose_values(baseline, [data], training)))
    return chosen


def choose_values(
    baseline: Baseline,
    splits: Sequence[Interactions],
    training: TrainingSettings,
    grid: Sequence[Mapping[str, Any]] | None = None,
) -> Mapping[str, Any]:
    """Return the settings with the best mean of ``training.monitor`` over splits.

    Args:
        baseline: What is fitted on each train part.
        splits: Splits of the same data, each with a validation part.
        training: See `choose_baselines`.
        grid: What is tried, of equals the first; None: the baseline's own.
    """
    grid = baseline.grid if grid is None else grid
    if len(grid) == 1:
        return grid[0]

    def value(values: Mapping[str, Any]) -> float:
        return fmean(
            evaluate_part(
                baseline.fit(split.train, **values), split, "val", training.top_k
            ).metrics[training.monitor]
            for split in splits
        )

    return max(grid, key=value)
