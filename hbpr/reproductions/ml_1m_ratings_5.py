"""MovieLens 1M with ratings of 5 alone: a factorization that learns to rank, beside EASE."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import Interactions, load_data
from hbpr.evaluation import Ease, Popularity
from hbpr.reproductions.row import Band, Figures, Published, Row, Say
from hbpr.reproductions.seeds import score_test, score_validation, train_seeds
from hbpr.settings.models import TrialSettings

_METRICS: Final = ("test/recall_at_20", "test/map_at_20")
_OURS: Final = "matrix factorization"
_EASE: Final = "EASE"
#: Of these, validation chooses.
_REGULARISATIONS: Final = (100.0, 200.0, 300.0, 400.0)
_SOURCE: Final = (
    "a comparison of EASE with factorization on MovieLens 1M, ratings of 5 as positives, each "
    "user parted 80/20; the figures are known here without their publication's address, so the "
    "protocol is checked by EASE, which has no seed: the same figure speaks for the same protocol"
)


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    runs = train_seeds(settings, data, seeds, refit=True, say=say)
    tests = [run.test for run in runs]
    epochs = ", ".join(str(run.epoch) for run in runs)
    learnt = data.train.union(data.validation)
    top_k = settings.training.top_k
    regularisation = _best_regularisation(data, settings)
    say(f"EASE: validation chose regularisation {regularisation:g}")
    ease = score_test(Ease(learnt, regularisation=regularisation), data, top_k)
    popular = score_test(Popularity(learnt), data, top_k)
    return (
        Figures.of(
            _OURS,
            data,
            tests,
            seeds=seeds,
            metrics=_METRICS,
            note=f"refit on train and validation for the epochs that were best: {epochs}",
        ),
        Figures.of(
            _EASE,
            data,
            [ease],
            metrics=_METRICS,
            note=f"regularisation {regularisation:g}, chosen on validation; learns both parts",
        ),
        Figures.of("popularity", data, [popular], metrics=_METRICS),
    )


def _best_regularisation(data: Interactions, settings: TrialSettings) -> float:
    """Return the regularisation of EASE that is best on validation."""
    training = settings.training

    def value(regularisation: float) -> float:
        scorer = Ease(data.train, regularisation=regularisation)
        return score_validation(scorer, data, training.top_k)[training.monitor]

    return max(_REGULARISATIONS, key=value)


ROW: Final = Row(
    name="ml-1m-ratings-5",
    title="MovieLens 1M, ratings of 5 alone as positives: a BPR model against iALS and EASE",
    protocol="""
A rating of 5 is a positive; lower ones are not used. Each user's positives are parted at random:
80 % for training (of these a tenth for validation, which the last fit learns too), 20 % for test.
Lists of twenty are drawn from the whole catalogue of 3,706 films without what the user's training
holds. Recall is hits / held-out items (not hits / min(20, held-out)); MAP divides by
min(20, held-out), and which divisor the published figures have is not known, so no bar is put on
it.
""",
    metrics=_METRICS,
    published=(
        Published("MF-BPR", {"test/recall_at_20": 0.2616, "test/map_at_20": 0.0956}, _SOURCE),
        Published("iALS", {"test/recall_at_20": 0.3033, "test/map_at_20": 0.1183}, "the same"),
        Published("EASE", {"test/recall_at_20": 0.3085, "test/map_at_20": 0.1249}, "the same"),
    ),
    bars=(
        Band(_OURS, "test/recall_at_20", low=0.3033, why="iALS of the comparison"),
        Band(
            _EASE,
            "test/recall_at_20",
            low=0.3035,
            high=0.3135,
            why="EASE of the comparison, .3085, give or take .005",
        ),
    ),
    measure=_measure,
)
