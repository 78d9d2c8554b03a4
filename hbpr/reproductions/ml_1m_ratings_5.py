"""MovieLens 1M with ratings of 5 alone: a factorization that learns to rank, beside EASE."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import load_data
from hbpr.reproductions.baselines import EASE, ease_figures, popularity_figures
from hbpr.reproductions.row import Band, Figures, Published, Row, Say
from hbpr.reproductions.seeds import refit_note, train_seeds
from hbpr.settings.models import TrialSettings

_METRICS: Final = ("test/recall_at_20", "test/map_at_20")
_OURS: Final = "matrix factorization"
#: Of these, validation chooses.
_REGULARISATIONS: Final = (100.0, 200.0, 300.0, 400.0)
_SOURCE: Final = (
    "a comparison of EASE with factorization on MovieLens 1M, ratings of 5 as positives, each "
    "user parted 80/20; no address given, so the "
    "protocol is checked by EASE, which has no seed: the same figure speaks for the same protocol"
)


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    runs = train_seeds(settings, data, seeds, refit=True, say=say)
    tests = [run.test for run in runs]
    note = refit_note(runs)
    return (
        Figures.of(_OURS, data, tests, seeds=seeds, metrics=_METRICS, note=note),
        ease_figures(data, settings.training, _METRICS, say, _REGULARISATIONS),
        popularity_figures(data, settings.training, _METRICS),
    )


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
            EASE,
            "test/recall_at_20",
            low=0.3035,
            high=0.3135,
            why="EASE of the comparison, .3085, give or take .005",
        ),
    ),
    measure=_measure,
)
