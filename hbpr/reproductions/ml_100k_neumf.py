"""NeuMF of a fixed small size on MovieLens 100k, each user's latest rating held out."""

from collections.abc import Sequence
from typing import Final

from hbpr.data import load_data
from hbpr.reproductions.baselines import ease_figures, popularity_figures
from hbpr.reproductions.registry import load_settings
from hbpr.reproductions.row import Band, Figures, Published, Row, Say
from hbpr.reproductions.seeds import train_seeds
from hbpr.settings.models import MfSettings, TrialSettings

_NAME: Final = "ml-100k-neumf"
_METRICS: Final = ("test/hr_at_50", "test/auc")
_NEUMF: Final = "NeuMF, 10 factors, hidden 10-10-10"
_MF: Final = "matrix factorization"


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    found = []
    for label, chosen in ((_NEUMF, settings), (_MF, load_settings(f"{_NAME}-mf"))):
        runs = train_seeds(chosen, data, seeds, refit=True, say=say, label=label)
        epochs = ", ".join(str(run.epoch) for run in runs)
        note = f"refit on train and validation, epochs {epochs}"
        if isinstance(chosen.model, MfSettings):
            note += f"; {chosen.model.n_latent} factors, configs/reproductions/{_NAME}-mf.yaml"
        tests = [run.test for run in runs]
        found.append(Figures.of(label, data, tests, seeds=seeds, metrics=_METRICS, note=note))
    return (
        *found,
        ease_figures(data, settings.training, _METRICS, say),
        popularity_figures(data, settings.training, _METRICS),
    )


ROW: Final = Row(
    name=_NAME,
    title="NeuMF on MovieLens 100k, each user's latest rating held out",
    protocol="""
Every rating is a positive, whatever its stars. A user's latest rating is test and the one before
validation, which the last fit learns too; equal times are parted by the seed of the split. The
test film is ranked among all films that the user has not rated. The network has the published
sizes: 10 factors, vectors of 10 for the layers, hidden layers of 10, 10 and 10; Adam at .01, 10
epochs, no more and no fewer. Loss, negatives for each positive, batch, regularisation, schedule and
item bias were chosen on validation; the matrix factorization beside it is free in everything.

The split and the two measures are those of the chapter on NeuMF in "Dive into Deep Learning". The
versions of that chapter that can be read have other sizes, rank only the films with the first
943 numbers (as many as there are users) and count a test film beyond them as missed; here all 1,682
are ranked. The two published figures have no address here.
""",
    metrics=_METRICS,
    published=(
        Published(
            "NeuMF, 10 factors, hidden 10-10-10",
            {"test/hr_at_50": 0.361, "test/auc": 0.881},
            "tutorial with the protocol of Zhang et al., Dive into Deep Learning, "
            "https://d2l.ai/chapter_recommender-systems/neumf.html",
        ),
    ),
    bars=(
        Band(_NEUMF, "test/hr_at_50", low=0.361, why="the published NeuMF of the same sizes"),
        Band(_NEUMF, "test/auc", low=0.881, why="the published NeuMF of the same sizes"),
    ),
    measure=_measure,
)
