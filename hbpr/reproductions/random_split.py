"""Ratings of 4 and more, parted at random: factorization beside the closed forms, two exams."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import Interactions, load_data
from hbpr.reproductions.baselines import EASE, ease_figures, ials_figures, popularity_figures
from hbpr.reproductions.row import Figures, Order, Row, Say
from hbpr.reproductions.seeds import refit_note, train_seeds
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings

NDCG: Final = "test/ndcg_at_10"
_METRICS: Final = (NDCG, "test/precision_at_10", "test/recall_at_10")
_OURS: Final = "matrix factorization"
_OBSERVED: Final = "matrix factorization, observed negatives"
_UNSEEN: Final = ", candidates unseen"
#: By how much ours must be above EASE where what was disliked is no candidate.
_LEAD: Final = 0.04


def random_split_row(name: str, title: str, *, seen_as_positive: float) -> Row:
    """A row for a dataset of ratings.

    Args:
        name: Of the row and of its settings file, which holds the settings that learn observed
            negatives, for candidates ``all``.
        title: One line.
        seen_as_positive: What an observed negative counts as a positive where it is no candidate,
            chosen on validation.
    """

    def measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
        unseen = with_values(
            settings,
            {
                "data.candidates": "unseen",
                "training.negatives.observed_weight": 1.0,
                "training.negatives.observed_as_positive": seen_as_positive,
            },
        )
        alike = with_values(settings, {"training.negatives.observed_weight": 1.0})
        data, seen_left_out = load_data(settings.data), load_data(unseen.data)
        return (
            _ours(_OBSERVED, settings, data, seeds, say),
            _ours(_OURS, alike, data, seeds, say),
            *_others(settings, data, "", seeds, say),
            _ours(_OBSERVED + _UNSEEN, unseen, seen_left_out, seeds, say),
            *_others(unseen, seen_left_out, _UNSEEN, seeds, say),
        )

    return Row(
        name=name,
        title=title,
        protocol=f"""
A rating of 4 or 5 is a positive, a lower one an observed negative. Each user's positives are parted
at random: 80 % for training, 10 % for validation, which the last fit learns too, 10 % for test.
Lists of ten are drawn from the whole catalogue without what train and validation hold; with
candidates `unseen`, what the user rated low in training is no candidate either, for any method.

Settings were chosen on validation. Without observed negatives a low rating counts once in the
denominator of the softmax, as any other item does; with them `observed_weight` times. With
candidates `unseen` it is a positive that counts {seen_as_positive:g}: whoever saw a film at all
looks at films of its kind. EASE and iALS learn the positives alone; what EASE would gain by the low
ratings is in [decision 0044](decisions/0044-seen-is-a-weak-positive.md).
""",
        metrics=_METRICS,
        published=(),
        bars=(
            Order(_OURS, EASE, NDCG, why="trained on the same pairs"),
            Order(_OBSERVED, _OURS, NDCG, why="low ratings are worth their use"),
            Order(
                _OBSERVED + _UNSEEN,
                EASE + _UNSEEN,
                NDCG,
                lead=_LEAD,
                why="what was disliked is no candidate",
            ),
        ),
        measure=measure,
        n_seeds=5,
    )


def _ours(
    label: str, settings: TrialSettings, data: Interactions, seeds: Sequence[int], say: Say
) -> Figures:
    runs = train_seeds(settings, data, seeds, refit=True, say=say, label=label)
    tests = [run.test for run in runs]
    return Figures.of(label, data, tests, seeds=seeds, metrics=_METRICS, note=refit_note(runs))


def _others(
    settings: TrialSettings, data: Interactions, place: str, seeds: Sequence[int], say: Say
) -> tuple[Figures, ...]:
    found = (
        ease_figures(data, settings.training, _METRICS, say),
        ials_figures(data, settings.training, _METRICS, seeds, say),
        popularity_figures(data, settings.training, _METRICS),
    )
    return tuple(figures.renamed(f"{figures.label}{place}") for figures in found)
