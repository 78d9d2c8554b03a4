"""What happens with a study's winner: its last training, and the one look at the test part.

The epochs that validation chose are trained again, on train and validation together and without
early stopping; then the test part is scored, once, beside a ranking by popularity and a linear
model in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hbpr.data.interactions import Interactions, UserItems
from hbpr.evaluation import Ease, Popularity, Scorer, evaluate_part
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.models import TrialSettings
from tune.answer.lineage import Schedule, ScheduledTrainer

#: More items than this make EASE take longer than a few seconds: it is left out.
MOST_EASE_ITEMS = 5000
#: Of these, validation chooses.
_EASE_REGULARISATIONS = (50.0, 200.0, 800.0)


@dataclass(frozen=True)
class Final:
    """The winner, trained for the last time.

    Attributes:
        system: The recommender; its `metrics` hold the winner's validation and test metrics.
        test: Test metrics by full name; empty if the data have no test part.
        baseline: The popularity baseline's validation and test metrics.
        ease: EASE's; empty where there are too many items for it.
    """

    system: RecommendationSystem
    test: dict[str, float]
    baseline: dict[str, float]
    ease: dict[str, float]


def train_winner(
    settings: TrialSettings,
    data: Interactions,
    *,
    epochs: int,
    validation: dict[str, float],
    refit: bool,
    threads: int,
    ease: float | None = None,
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
        ease: Regularisation of EASE that `best_ease` chose; None leaves it out.
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
    top_k = settings.training.top_k
    baseline = score(Popularity(data.train), data, top_k, "val")
    linear = {} if ease is None else score(_ease(data.train, ease), data, top_k, "val")
    test: dict[str, float] = {}
    if data.test.n_pairs:
        test = score(trainer.model, data, top_k, "test") | system.evaluate_pages("test", top_k)
        baseline |= score(Popularity(last.train), data, top_k, "test")
        if ease is not None:
            linear |= score(_ease(last.train, ease), data, top_k, "test")
        system.metrics |= test
    return Final(system, test, baseline, linear)


def score(
    scorer: Scorer, data: Interactions, top_k: Sequence[int], part: Literal["val", "test"]
) -> dict[str, float]:
    """Return the metrics of a scorer on a part; what earlier parts hold is not ranked."""
    return dict(evaluate_part(scorer, data, part, top_k).metrics)


def best_ease(data: Interactions, settings: TrialSettings) -> float | None:
    """Return the regularisation of EASE that is best on validation; None for too many items."""
    if data.n_items > MOST_EASE_ITEMS:
        return None
    training = settings.training
    return max(
        _EASE_REGULARISATIONS,
        key=lambda regularisation: score(
            _ease(data.train, regularisation), data, training.top_k, "val"
        )[training.monitor],
    )


def _ease(train: UserItems, regularisation: float) -> Ease:
    return Ease(train, regularisation=regularisation)
