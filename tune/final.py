"""What happens with a study's winner: its last training, and the one look at the test part.

The epochs that validation chose are trained again, on train and validation together and without
early stopping; then the test part is scored, once, beside a ranking by popularity.
"""

import logging
from dataclasses import dataclass

from hbpr.data.interactions import Interactions
from hbpr.evaluation import Popularity, Scorer, evaluate
from hbpr.recommender import RecommendationSystem
from hbpr.settings.models import TrialSettings
from hbpr.training.trainer import Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Final:
    """The winner, trained for the last time.

    Attributes:
        system: The recommender; its `metrics` hold the winner's validation and test metrics.
        test: Test metrics by full name; empty if the data have no test part.
        baseline: The popularity baseline's validation and test metrics.
    """

    system: RecommendationSystem
    test: dict[str, float]
    baseline: dict[str, float]


def train_winner(
    settings: TrialSettings,
    data: Interactions,
    *,
    epochs: int,
    validation: dict[str, float],
    refit: bool,
    threads: int,
) -> Final:
    """Train the winner and score it on the test part.

    Args:
        settings: The winning trial's settings.
        data: The winning trial's data.
        epochs: Epoch that was the best on validation.
        validation: The winning trial's validation metrics at that epoch.
        refit: Train on train and validation together; otherwise on train alone.
        threads: Threads of a trial, so that the result is the trial's where nothing else changed.
    """
    last = data.refit_on_validation() if refit else data
    trainer = Trainer(last, settings, threads=threads)
    for report in trainer:
        if report.epoch >= epochs:
            break
    # Not best_model(): without early stopping the epoch that validation chose is the last one.
    system = RecommendationSystem(trainer.model, last, settings, dict(validation))
    top_k = settings.training.top_k
    baseline = evaluate(
        Popularity(data.train),
        data.validation,
        exclude=data.train,
        top_k=top_k,
        part="val",
        candidates=data.validation_candidates,
    ).metrics
    test: dict[str, float] = {}
    if data.test.n_pairs:
        seen = data.train.union(data.validation)

        def score_test(scorer: Scorer) -> dict[str, float]:
            return evaluate(
                scorer,
                data.test,
                exclude=seen,
                top_k=top_k,
                part="test",
                candidates=data.test_candidates,
            ).metrics

        test = dict(score_test(trainer.model))
        baseline |= score_test(Popularity(last.train))
        system.metrics |= test
    return Final(system, test, baseline)
