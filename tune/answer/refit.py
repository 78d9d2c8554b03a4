"""What happens with a study's winner: its last training, and the one look at the test part.

The epochs that validation chose are trained again, on train and validation together and without
early stopping; then the test part is scored, once, beside the baselines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hbpr.baselines import ChosenBaseline
from hbpr.data.interactions import Interactions
from hbpr.evaluation import Scorer, evaluate_part
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.models import TrainingSettings, TrialSettings
from hbpr.tracking.findings import BaselineRecord
from tune.answer.lineage import Schedule, ScheduledTrainer


@dataclass(frozen=True)
class Final:
    """The winner, trained for the last time.

    Attributes:
        system: The recommender; its `metrics` hold the winner's validation and test metrics.
        test: Test metrics by full name; empty if the data have no test part.
        baselines: What each baseline came to.
    """

    system: RecommendationSystem
    test: dict[str, float]
    baselines: tuple[BaselineRecord, ...]


def train_winner(
    settings: TrialSettings,
    data: Interactions,
    *,
    epochs: int,
    validation: dict[str, float],
    refit: bool,
    threads: int,
    baselines: Sequence[tuple[ChosenBaseline, dict[str, float]]] = (),
    schedule: Schedule | None = None,
) -> Final:
    """Train the winner and score it on the test part.

    Args:
        settings: The winning trial's settings.
        data: The winning trial's data.
        epochs: Epoch that was the best on validation.
        validation: The winning trial's validation metrics at that epoch.
        refit: Train on train and validation together; otherwise on train alone.
        threads: Threads of a trial, so that the result is the trial's where nothing else changed.
        baselines: What stands beside it, with its validation metrics.
        schedule: Optimizer settings that the trial's weights went through, see
            `tune.answer.lineage`; its epochs stay where they are.
    """
    last = data.refit_on_validation() if refit else data
    scheduled = ScheduledTrainer(last, settings, schedule or {}, threads=threads)
    for report in scheduled:
        if report.epoch >= epochs:
            break
    trainer = scheduled.trainer
    # Not best_model(): without early stopping the epoch that validation chose is the last one.
    system = RecommendationSystem(trainer.model, last, settings, dict(validation))
    training = settings.training
    beside = [
        BaselineRecord(each.name, each.label, validation_metrics)
        for each, validation_metrics in baselines
    ]
    test: dict[str, float] = {}
    if data.test.n_pairs:
        pages = system.evaluate_pages("test", training.top_k)
        test = score(trainer.model, last, training, "test") | pages
        beside = [
            replace(record, test=score(each.fit(last.train), last, training, "test"))
            for (each, _), record in zip(baselines, beside, strict=True)
        ]
        system.metrics |= test
    return Final(system, test, tuple(beside))


def score(
    scorer: Scorer, data: Interactions, training: TrainingSettings, part: Literal["val", "test"]
) -> dict[str, float]:
    """Return the metrics of a scorer on a part; what earlier parts hold is not ranked."""
    return dict(evaluate_part(scorer, data, part, training.top_k, training.metrics).metrics)
