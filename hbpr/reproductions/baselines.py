"""What stands beside our models in most rows: EASE and iALS, chosen on validation; popularity."""

from collections.abc import Sequence
from typing import Final

from hbpr.baselines import BASELINES, Ease, Popularity
from hbpr.baselines.baseline import Baseline
from hbpr.baselines.choose import choose_values
from hbpr.data.interactions import Interactions, UserItems
from hbpr.models.ials import Ials
from hbpr.reproductions.row import Figures, Say
from hbpr.reproductions.seeds import score_test
from hbpr.settings.models import TrainingSettings

EASE: Final = BASELINES["ease"].label
POPULARITY: Final = BASELINES["popularity"].label
#: What validation chooses from, unless a row says otherwise: finer than what a study has time for.
REGULARISATIONS: Final = (30.0, 100.0, 200.0, 400.0, 800.0, 1600.0)
IALS: Final = "iALS"
#: Of iALS: size of the vectors and passes over both sides.
_SIZE: Final = 128
_PASSES: Final = 12


def best_regularisation(
    splits: Sequence[Interactions],
    training: TrainingSettings,
    regularisations: Sequence[float] = REGULARISATIONS,
) -> float:
    """Return the regularisation of EASE with the best mean of ``training.monitor`` over splits.

    Args:
        splits: Splits of the same data, each with a validation part.
        training: Its `monitor` judges, its `top_k` are the lengths of lists.
        regularisations: What is tried.
    """
    grid = [{"regularisation": regularisation} for regularisation in regularisations]
    return float(choose_values(BASELINES["ease"], splits, training, grid)["regularisation"])


def fit_ease(
    data: Interactions,
    training: TrainingSettings,
    say: Say,
    regularisations: Sequence[float] = REGULARISATIONS,
) -> tuple[Ease, str]:
    """Choose EASE's regularisation on validation, and learn both parts with it.

    Returns:
        The scorer, and a note on what was chosen.
    """
    regularisation = best_regularisation([data], training, regularisations)
    say(f"EASE: validation chose regularisation {regularisation:g}")
    ease = Ease.fit(data.seen(), regularisation=regularisation)
    return ease, f"regularisation {regularisation:g}, chosen on validation; learns both parts"


def ease_figures(
    data: Interactions,
    training: TrainingSettings,
    metrics: Sequence[str],
    say: Say,
    regularisations: Sequence[float] = REGULARISATIONS,
) -> Figures:
    """Test figures of `fit_ease`."""
    ease, note = fit_ease(data, training, say, regularisations)
    test = score_test(ease, data, training.top_k)
    return Figures.of(EASE, data, [test], metrics=metrics, note=note)


def _solve_ials(train: UserItems, **values: float) -> Ials:
    seed = int(values.pop("seed", 0))
    model = Ials(train, n_latent=_SIZE, seed=seed, **values)  # type: ignore[arg-type]
    for _ in range(_PASSES):
        model.solve()
    return model


def ials_figures(
    data: Interactions,
    training: TrainingSettings,
    metrics: Sequence[str],
    seeds: Sequence[int],
    say: Say,
) -> Figures:
    """Test figures of iALS: validation chooses its weights, then it learns both parts."""
    grid = [
        {"unobserved_weight": unobserved, "l2_exponent": exponent, "scaled_l2": l2}
        for unobserved in (0.1, 0.3)
        for exponent, l2 in ((0.0, 3.0), (0.0, 10.0), (0.5, 0.3), (0.5, 0.6), (1.0, 0.01))
    ]
    values = choose_values(Baseline(IALS, _solve_ials), [data], training, grid)
    chosen = ", ".join(f"{name} {value:g}" for name, value in values.items())
    say(f"iALS: validation chose {chosen}")
    models = [_solve_ials(data.seen(), seed=seed, **values) for seed in seeds]
    tests = [score_test(model, data, training.top_k) for model in models]
    note = f"d {_SIZE}, {_PASSES} passes, {chosen}, chosen on validation of {len(grid)} settings"
    return Figures.of(IALS, data, tests, seeds=seeds, metrics=metrics, note=note)


def popularity_figures(
    data: Interactions, training: TrainingSettings, metrics: Sequence[str]
) -> Figures:
    """Test figures of popularity in train and validation."""
    popular = Popularity(data.seen())
    test = score_test(popular, data, training.top_k)
    return Figures.of(POPULARITY, data, [test], metrics=metrics)
