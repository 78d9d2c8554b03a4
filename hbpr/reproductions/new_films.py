"""New films of MovieLens 1M by their metadata: two exams, and a dial between them."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hbpr.data import Interactions, load_data
from hbpr.reproductions.row import Figures, Order, Published, Result, Row, Say
from hbpr.reproductions.seeds import score_test, train_seeds
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings

_AUC: Final = "test/auc"
_NEW: Final = ", among all new films"
_LOW: Final = ", among new films rated low"
_RANDOM: Final = "every film"
_ALONE: Final = "observed negatives alone"
#: How often a film that the user rated low counts in the denominator.
_WEIGHTS: Final = (1.0, 3.0, 10.0, 30.0)


def _label(weight: float) -> str:
    return _RANDOM if weight == 1.0 else f"{_RANDOM}, rated low {weight:g} times"


_TRAININGS: Final[Mapping[str, Mapping[str, Any]]] = {
    **{
        _label(weight): {"training.negatives": {"kind": "all", "observed_weight": weight}}
        for weight in _WEIGHTS
    },
    _ALONE: {"training.negatives": {"kind": "observed"}, "training.engine": "auto"},
}


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    among_all = load_data(settings.data)
    among_low = load_data(with_values(settings, {"data.candidates": "observed"}).data)
    found = []
    for label, values in _TRAININGS.items():
        runs = train_seeds(
            with_values(settings, values), among_all, seeds, refit=False, say=say, label=label
        )
        epochs = ", ".join(str(run.epoch) for run in runs)
        for place, view in ((_NEW, among_all), (_LOW, among_low)):
            tests = [score_test(run.model, view, settings.training.top_k) for run in runs]
            figures = Figures.of(
                f"{label}{place}",
                view,
                tests,
                seeds=seeds,
                metrics=(_AUC,),
                note=f"epochs that were best on validation: {epochs}",
            )
            found.append(dataclasses.replace(figures, candidates=_candidates(view)))
    return tuple(found)


def _candidates(data: Interactions) -> str:
    if data.test_candidates is None:
        return "all new films of the test part"
    return "new films of the test part that the same user rated low"


def _plot(result: Result, path: Path) -> None:
    """Draw one exam against the other, a point for each way to train."""
    from matplotlib.figure import Figure

    by_label = {figures.label: figures for figures in result.figures}
    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    axes = figure.subplots()
    places = [(by_label[label + _NEW], by_label[label + _LOW]) for label in _TRAININGS]
    x, y = ([figures.mean(_AUC) for figures in side] for side in zip(*places, strict=True))
    errors = [
        [figures.deviation(_AUC) or 0.0 for figures in side] for side in zip(*places, strict=True)
    ]
    axes.errorbar(x, y, xerr=errors[0], yerr=errors[1], fmt="o", color="#0072B2", capsize=3)
    axes.plot(x[: len(_WEIGHTS)], y[: len(_WEIGHTS)], color="#0072B2", linewidth=1)
    for label, *place in zip(_TRAININGS, x, y, strict=True):
        axes.annotate(label, (place[0], place[1]), (6, 6), textcoords="offset points", fontsize=8)
    axes.set_xlabel("test AUC among all new films")
    axes.set_ylabel("test AUC among new films that the user rated low")
    axes.margins(x=0.25, y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"What low ratings count; mean and deviation of {len(places[0][0].seeds)} seeds")
    figure.savefig(path, dpi=110)


ROW: Final = Row(
    name="new-films",
    title="MovieLens 1M: new films by metadata, and what low ratings count for two exams",
    protocol="""
A rating of 4 or 5 is a positive, a lower one an observed negative. A tenth of the films is test and
a tenth validation: nothing of them is trained on, and a film is what its metadata says (genres and
decade), without a vector of its own. AUC is the mean over users of the share of pairs in which a
new film that the user liked is ranked above another, and there are two exams with different
others: all other new films of the part (what to show at all), or the new films that the same user
rated low (how to order what is shown).

The softmax has every film of training in its denominator, and one that the user rated low counts
once, or more often; at the end of that scale stands a training on observed negatives alone. Better
in one exam is worse in the other: the weight is a dial between them, and which end is wanted is
the question of whoever shows the list. The published comparison, observed negatives above random
ones for new films, is an order of the second exam; it holds there and is turned around in the
first. Validation among all new films chooses the epoch for every way to train, settings are the
same for all.
""",
    metrics=(_AUC,),
    published=(
        Published(
            "random negatives",
            {_AUC: 0.611},
            "hybrid-bpr's blog on negatives and metadata; another split and other candidates, "
            "so the order compares and the figures do not",
        ),
        Published("observed negatives", {_AUC: 0.644}, "the same"),
    ),
    bars=(
        Order(_ALONE + _LOW, _RANDOM + _LOW, _AUC, why="the published order"),
        *(
            Order(_label(more) + _LOW, _label(less) + _LOW, _AUC, why="the dial, one way")
            for less, more in itertools.pairwise(_WEIGHTS)
        ),
        *(
            Order(_label(less) + _NEW, _label(more) + _NEW, _AUC, why="the dial, the other way")
            for less, more in itertools.pairwise(_WEIGHTS)
        ),
    ),
    measure=_measure,
    n_seeds=5,
    plot=_plot,
)
