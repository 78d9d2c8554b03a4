"""The best trials once more: other seeds, the same validation part, and a paired comparison.

The best of many trials was also the luckiest. Repeating the best few with seeds that the search did
not use shows what is left of their lead.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Interactions
from hbpr.evaluation import Evaluation, Scorer, evaluate_part
from hbpr.names import LOSS, METRICS, parse_metric_name
from hbpr.settings.models import TrialSettings
from hbpr.tracking.findings import Comparison, Finalist
from tune.answer.lineage import Schedule, ScheduledTrainer
from tune.storage.repeat import Repeat


def repeat_trial(
    settings: TrialSettings, data: Interactions, threads: int, schedule: Schedule | None = None
) -> Repeat:
    """Run a trial to its end and judge its best epoch, user by user.

    Args:
        settings: The trial's.
        data: The trial's.
        threads: Threads of a trial.
        schedule: Optimizer settings that its weights went through, see `tune.answer.lineage`.
    """
    import torch

    torch.set_num_threads(threads)
    began_at = _now()
    scheduled = ScheduledTrainer(data, settings, schedule or {}, threads=threads)
    curve = {
        report.epoch: {LOSS: report.loss, **report.metrics}
        for report in scheduled
        if report.metrics
    }
    trainer = scheduled.trainer
    users, values, metrics = judge(trainer.best_model(), data, settings)
    return Repeat(
        settings.training.seed,
        trainer.best_epoch,
        metrics,
        users,
        values,
        curve,
        began_at,
        _now(),
    )


def _now() -> int:
    return int(time.time() * 1000)


def judge(
    scorer: Scorer, data: Interactions, settings: TrialSettings
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, float]]:
    """Evaluate on validation; return users, their values of the monitored metric, all metrics."""
    evaluation = evaluate_part(
        scorer, data, "val", settings.training.top_k, settings.training.metrics
    )
    values = _per_user(evaluation, settings.training.monitor)
    return np.asarray(evaluation.ranks.users, np.int64), values, dict(evaluation.metrics)


def _per_user(evaluation: Evaluation, metric: str) -> NDArray[np.float64]:
    name = parse_metric_name(metric)
    return np.asarray(METRICS[name.metric](evaluation.ranks, name.k), np.float64)


def summarize(number: int, repeats: Sequence[Repeat], metric: str) -> Finalist:
    """Return what the repeats of one trial come to."""
    values = tuple(repeat.metrics[metric] for repeat in repeats)
    names = repeats[0].metrics
    return Finalist(
        number=number,
        values=values,
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else 0.0,
        best_epoch=int(statistics.median_low(repeat.best_epoch for repeat in repeats)),
        metrics={name: statistics.fmean(r.metrics[name] for r in repeats) for name in names},
    )


def by_user(repeats: Sequence[Repeat]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the users and the mean of each over the seeds."""
    return repeats[0].users, np.mean([repeat.values for repeat in repeats], axis=0)


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
