"""The published split of neural collaborative filtering: MovieLens 1M, 99 listed negatives."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import load_data
from hbpr.reproductions.baselines import ease_figures, popularity_figures
from hbpr.reproductions.row import Band, Figures, Published, Row, Say
from hbpr.reproductions.seeds import refit_note, train_seeds
from hbpr.settings.models import TrialSettings

_HR: Final = "test/hr_at_10"
_NDCG: Final = "test/ndcg_at_10"
_METRICS: Final = (_HR, _NDCG)
_OURS: Final = "matrix factorization"
_RENDLE: Final = (
    'Rendle et al., "Neural collaborative filtering vs. matrix factorization revisited", '
    "RecSys 2020, https://arxiv.org/abs/2005.09683"
)
_UNCHECKED: Final = (
    "reported on the same split, such as by Anelli et al., RecSys 2021, "
    "https://arxiv.org/abs/2107.13472; the figure is not checked against its table"
)
_HE: Final = (
    'He et al., "Neural collaborative filtering", WWW 2017, https://arxiv.org/abs/1708.05031'
)


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    runs = train_seeds(settings, data, seeds, refit=True, say=say)
    tests = [run.test for run in runs]
    note = refit_note(runs)
    return (
        Figures.of(_OURS, data, tests, seeds=seeds, metrics=_METRICS, note=note),
        ease_figures(data, settings.training, _METRICS, say),
        popularity_figures(data, settings.training, _METRICS),
    )


ROW: Final = Row(
    name="ncf-ml-1m",
    title="The published split of neural collaborative filtering, MovieLens 1M",
    protocol="""
Every rating is a positive. The test part is the published file: one film of each of the 6,040
users, ranked among the 99 published others. Validation is the latest of the user's other films,
ranked among 99 drawn here from what is in neither train nor validation; the last fit learns it too,
as the published models do. With one held-out film a user, HR@10 is recall and NDCG@10 is 1 /
log2(rank + 1) where the rank is at most 10. Figures among 99 listed films compare with each other
only.

The training file is rebuilt from MovieLens 1M without the test pairs: the pairs are the published
ones, and only the order of equal times may differ.
""",
    metrics=_METRICS,
    published=(
        Published("MF-BPR", {_HR: 0.6305, _NDCG: 0.3730}, _UNCHECKED),
        Published("NeuMF, re-tuned", {_HR: 0.7093, _NDCG: 0.4349}, _RENDLE),
        Published("EASE", {_HR: 0.7192, _NDCG: 0.4494}, _UNCHECKED),
        Published("dot-product MF, 192 factors", {_HR: 0.7294, _NDCG: 0.4523}, _RENDLE),
        Published("NeuMF, 64 factors, pre-trained", {_HR: 0.730, _NDCG: 0.447}, f"{_HE}, table 2"),
    ),
    bars=(
        Band(_OURS, _HR, low=0.7093, why="NeuMF, re-tuned"),
        Band(_OURS, _NDCG, low=0.4349, why="NeuMF, re-tuned"),
        Band(_OURS, _HR, low=0.7192, why="EASE"),
        Band(_OURS, _NDCG, low=0.4494, why="EASE"),
        Band(_OURS, _HR, low=0.7294, why="dot-product MF"),
        Band(_OURS, _NDCG, low=0.4523, why="dot-product MF"),
    ),
    measure=_measure,
)
