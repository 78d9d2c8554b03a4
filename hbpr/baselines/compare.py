"""Scorers judged user by user on validation, and the paired difference of two of them."""

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Interactions
from hbpr.evaluation import Evaluation, Scorer, evaluate_part
from hbpr.names import METRICS, parse_metric_name
from hbpr.settings.models import TrainingSettings
from hbpr.tracking.findings import Comparison


def judge(
    scorer: Scorer, data: Interactions, training: TrainingSettings
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, float]]:
    """Evaluate on validation; return users, their values of the monitored metric, all metrics."""
    evaluation = evaluate_part(scorer, data, "val", training.top_k, training.metrics)
    values = _per_user(evaluation, training.monitor)
    return np.asarray(evaluation.ranks.users, np.int64), values, dict(evaluation.metrics)


def _per_user(evaluation: Evaluation, metric: str) -> NDArray[np.float64]:
    name = parse_metric_name(metric)
    return np.asarray(METRICS[name.metric](evaluation.ranks, name.k), np.float64)


def compare(
    winner: tuple[NDArray[np.int64], NDArray[np.float64]],
    other: tuple[NDArray[np.int64], NDArray[np.float64]],
    name: str,
) -> Comparison | None:
    """Compare values user by user with a paired t-test.

    Args:
        winner: Users and their values.
        other: Likewise.
        name: What the other is.

    Returns:
        None where the users differ, as with trials whose data were split in another way.

    Example:
        >>> users = np.arange(4)
        >>> found = compare((users, np.array([1, 2, 3, 4.])), (users, np.array([0, 1, 3, 3.])), "b")
        >>> found.difference, found.n_users
        (0.75, 4)
    """
    from scipy import stats

    if not np.array_equal(winner[0], other[0]):
        return None
    known = ~np.isnan(winner[1] - other[1])
    ours, others = winner[1][known], other[1][known]
    n = len(ours)
    if n < 2:
        return None
    mean = float((ours - others).mean())
    if np.ptp(ours - others) == 0.0:  # no spread to test against
        return Comparison(name, mean, mean, mean, 1.0 if mean == 0.0 else 0.0, n)
    test = stats.ttest_rel(ours, others)
    interval = test.confidence_interval(0.95)
    return Comparison(name, mean, float(interval.low), float(interval.high), float(test.pvalue), n)
