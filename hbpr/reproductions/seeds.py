"""One method trained with several seeds: validation chooses the epoch, test is scored once."""

from collections.abc import Sequence
from dataclasses import dataclass

from hbpr.data.interactions import Interactions
from hbpr.evaluation import Evaluation, Scorer, evaluate_part
from hbpr.reproductions.row import Say
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer


@dataclass(frozen=True)
class SeedRun:
    """One seed's training.

    Attributes:
        seed: Seed of weights and sampling.
        epoch: Epoch that was the best on validation; the refit has as many.
        validation: Validation metrics there.
        test: Test metrics, scored once.
        model: What was scored on test.
    """

    seed: int
    epoch: int
    validation: dict[str, float]
    test: dict[str, float]
    model: Scorer


def train_seeds(
    settings: TrialSettings,
    data: Interactions,
    seeds: Sequence[int],
    *,
    refit: bool,
    say: Say,
    label: str = "",
) -> list[SeedRun]:
    """Train once with each seed.

    Training stops by ``training.early_stopping_patience`` on validation. With `refit` the epochs
    that were best are trained again on train and validation together, and that model is scored on
    test; otherwise the best epoch's model is.

    Args:
        settings: Model, optimizer and training; ``settings.data`` is not read.
        data: Split data with a validation and a test part.
        seeds: Values of ``training.seed``.
        refit: Whether the published protocol trains on all that is not test.
        say: Called with a line after each seed.
        label: Begins these lines.

    Raises:
        DivergedError: A training met NaN.
    """
    return [_train(settings, data, seed, refit, say, label) for seed in seeds]


def _train(
    settings: TrialSettings, data: Interactions, seed: int, refit: bool, say: Say, label: str
) -> SeedRun:
    settings = with_values(settings, {"training.seed": seed})
    threads = settings.training.threads
    trainer = Trainer(data, settings, threads=threads)
    validation: dict[str, float] = {}
    for report in trainer:
        if report.is_best:
            validation = report.metrics
    epoch = trainer.best_epoch
    model: Scorer = trainer.best_model()
    if refit:
        again = Trainer(data.refit_on_validation(), settings, threads=threads)
        for report in again:
            if report.epoch >= epoch:
                break
        model = again.model
    test = score_test(model, data, settings.training.top_k)
    monitor = settings.training.monitor
    name = monitor.partition("/")[2]
    say(
        f"{label or data.name}, seed {seed}: epoch {epoch}, {monitor} {validation[monitor]:.4f}, "
        f"test/{name} {test[f'test/{name}']:.4f}"
    )
    return SeedRun(seed, epoch, validation, test, model)


def refit_note(runs: Sequence[SeedRun]) -> str:
    """Say for how many epochs each run was refitted."""
    epochs = ", ".join(str(run.epoch) for run in runs)
    return f"refit on train and validation for the epochs that were best: {epochs}"


def evaluate_test(scorer: Scorer, data: Interactions, top_k: Sequence[int]) -> Evaluation:
    """Rank the test part; what train and validation hold is not ranked."""
    return evaluate_part(scorer, data, "test", top_k)


def score_test(scorer: Scorer, data: Interactions, top_k: Sequence[int]) -> dict[str, float]:
    """Return the metrics of `evaluate_test`."""
    return evaluate_test(scorer, data, top_k).metrics
