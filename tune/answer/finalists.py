"""The best trials once more: other seeds, the same validation part, and a paired comparison.

The best of many trials was also the luckiest. Repeating the best few with seeds that the search did
not use shows what is left of their lead.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hbpr.baselines.compare import judge
from hbpr.data.interactions import Interactions
from hbpr.names import LOSS
from hbpr.settings.models import TrialSettings
from hbpr.tracking.findings import Finalist
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
    users, values, metrics = judge(trainer.best_model(), data, settings.training)
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
