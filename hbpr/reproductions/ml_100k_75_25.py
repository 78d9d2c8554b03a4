"""BPR in the benchmark of Microsoft's recommenders: MovieLens 100k, 75 % of each user's ratings."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import load_data
from hbpr.reproductions.baselines import popularity_figures
from hbpr.reproductions.row import Band, Figures, Published, Row, Say
from hbpr.reproductions.seeds import refit_note, train_seeds
from hbpr.settings.models import TrialSettings

_METRICS: Final = ("test/ndcg_at_10", "test/precision_at_10", "test/recall_at_10")
_OURS: Final = "matrix factorization"
_WHY: Final = "BPR of the benchmark"


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    runs = train_seeds(settings, data, seeds, refit=True, say=say)
    tests = [run.test for run in runs]
    note = refit_note(runs)
    return (
        Figures.of(_OURS, data, tests, seeds=seeds, metrics=_METRICS, note=note),
        popularity_figures(data, settings.training, _METRICS),
    )


ROW: Final = Row(
    name="ml-100k-75-25",
    title="BPR on MovieLens 100k, 75 % of each user's ratings for training",
    protocol="""
Every rating is a positive, whatever its stars. Each user's ratings are parted at random: 75 % for
training (of these a tenth for validation, which the last fit learns too), 25 % for test. Lists of
ten are drawn from the whole catalogue without what the user rated in training. Precision is hits /
10, recall is hits / held-out items, NDCG has binary gain and the ideal of min(10, held-out) hits:
all three as in the benchmark. Its MAP (.132) divides by the held-out items and hbpr's by
min(10, held-out), so MAP is left out. Which ratings are in test differs, since the benchmark's
random numbers are its own.

Test was seen twice: a trial run of the program printed test figures of guessed settings (NDCG .455)
before the settings were chosen, on validation alone.
""",
    metrics=_METRICS,
    published=(
        Published(
            "BPR (Cornac)",
            {
                "test/ndcg_at_10": 0.442,
                "test/precision_at_10": 0.388,
                "test/recall_at_10": 0.2125,
            },
            "Microsoft recommenders, benchmark of MovieLens 100k, "
            "examples/06_benchmarks/movielens.ipynb, "
            "https://github.com/recommenders-team/recommenders",
        ),
    ),
    bars=(
        Band(_OURS, "test/ndcg_at_10", low=0.442, why=_WHY),
        Band(_OURS, "test/precision_at_10", low=0.388, why=_WHY),
        Band(_OURS, "test/recall_at_10", low=0.2125, why=_WHY),
    ),
    measure=_measure,
)
