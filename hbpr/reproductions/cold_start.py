"""Which negatives serve known items and which serve new ones: hybrid-bpr's 2 x 2 x 2 figure."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hbpr.data import Interactions, load_data
from hbpr.reproductions.cold_items import hold_out_rarest, keep_item_features
from hbpr.reproductions.row import Figures, Order, Published, Result, Row, Say
from hbpr.reproductions.seeds import train_seeds
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer

_METRIC: Final = "test/auc"
_PARTS: Final = ("warm", "cold")
_FEATURES: Final = ("indicator", "metadata")
_NEGATIVES: Final = ("random", "observed")
#: Share of the items that is cold.
_COLD: Final = 0.2
#: Shares of observed negatives; of these, validation chooses.
_SHARES: Final = (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9)
#: What is mixed: the features that serve each part.
_MIXED: Final = {"warm": "indicator", "cold": "metadata"}
_KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "random": {"training.negatives.kind": "uniform"},
    "observed": {"training.negatives.kind": "observed"},
}


def _label(part: str, features: str, negatives: str) -> str:
    return f"{part}, {features}, {negatives}"


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = {(part, kind): _data(settings, part, kind) for part in _PARTS for kind in _FEATURES}
    found = []
    for part, features, negatives in itertools.product(_PARTS, _FEATURES, _NEGATIVES):
        label = _label(part, features, negatives)
        mine = with_values(settings, _KINDS[negatives])
        found.append(_figures(label, mine, data[part, features], seeds, say))
    for part, features in _MIXED.items():
        share, told = _best_share(settings, data[part, features], say, part)
        mine = with_values(settings, _mixed(share))
        label = _label(part, features, "mixed")
        found.append(_figures(label, mine, data[part, features], seeds, say, note=told))
    return tuple(found)


def _data(settings: TrialSettings, part: str, features: str) -> Interactions:
    data = load_data(with_values(settings, {"data.item_feature": features}).data)
    if features == "metadata" and settings.data.source == "movielens":
        data = keep_item_features(data, "genre=")
    if part == "cold":
        data = hold_out_rarest(data, share=_COLD, seed=settings.data.split.seed)
    return data


def _figures(
    label: str,
    settings: TrialSettings,
    data: Interactions,
    seeds: Sequence[int],
    say: Say,
    note: str = "",
) -> Figures:
    runs = train_seeds(settings, data, seeds, refit=False, say=say, label=label)
    tests = [run.test for run in runs]
    return Figures.of(label, data, tests, seeds=seeds, metrics=(_METRIC,), note=note)


def _mixed(share: float) -> dict[str, Any]:
    return {"training.negatives.kind": "mixed", "training.negatives.observed": share}


def _best_share(
    settings: TrialSettings, data: Interactions, say: Say, part: str
) -> tuple[float, str]:
    """Return the share of observed negatives that is best on validation, and what was compared."""
    values = {}
    for share in _SHARES:
        trainer = Trainer(data, with_values(settings, _mixed(share)))
        for _ in trainer:
            pass
        assert trainer.best_value is not None
        values[share] = trainer.best_value
        say(f"{part}, {share:g} observed: validation {trainer.best_value:.4f}")
    best = max(values, key=values.__getitem__)
    told = ", ".join(f"{share:g}: {value:.4f}" for share, value in values.items())
    return best, f"share of observed negatives {best:g}, chosen by validation AUC ({told})"


def _plot(result: Result, path: Path) -> None:
    """Draw four panels: what a user knows and what is new, by either kind of features."""
    from matplotlib.figure import Figure

    by_label = {figures.label: figures for figures in result.figures}
    figure = Figure(figsize=(7.5, 6.0), layout="constrained")
    panels = figure.subplots(2, 2, sharey="row")
    for axes, (part, features) in zip(
        panels.flat, itertools.product(_PARTS, _FEATURES), strict=True
    ):
        kinds = [kind for kind in (*_COLOURS,) if _label(part, features, kind) in by_label]
        for place, kind in enumerate(kinds):
            mine = by_label[_label(part, features, kind)]
            mean = mine.mean(_METRIC)
            axes.bar(
                place,
                mean,
                yerr=mine.deviation(_METRIC),
                width=0.6,
                color=_COLOURS[kind],
                capsize=4,
            )
            axes.annotate(
                f"{mean:.3f}", (place, mean), (0, 6), textcoords="offset points", ha="center"
            )
        axes.axhline(0.5, color="0.4", linewidth=0.8, linestyle="--")
        axes.set_xticks(range(len(kinds)), kinds)
        axes.set_ylim(0.0, 1.05)
        axes.set_title(f"{part} items, {features}")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("test AUC")
    n_seeds = len(result.figures[0].seeds)
    figure.suptitle(f"Negatives and features; mean and deviation of {n_seeds} seeds")
    figure.savefig(path, dpi=110)


_COLOURS: Final = {"random": "#0072B2", "observed": "#E69F00", "mixed": "#009E73"}
_ORDER: Final = "the published order"
_RATIO: Final = "at least as good as either end"

ROW: Final = Row(
    name="cold-start",
    title="MovieLens 1M: random or observed negatives, for items known and new, by two features",
    protocol="""
A rating of 4 or more is a positive, a lower one an observed negative. *Warm*: each user's
interactions are parted at random, 80/10/10. *Cold*: the fifth of the films with the fewest ratings
is held out with all its ratings, half of these films for validation and half for test, so test
films have no positive and no observed negative in training. *Indicator*: every film has a vector of
its own; *metadata*: the film is its genres, 18 of them. *Random* negatives are uniform over the
whole catalogue (as published, new films among them); *observed* ones are films that the user rated
low; *mixed* ones are observed in a share that validation chose among seven. AUC ranks a held-out
positive among the whole catalogue without what the user chose in training and validation.

All cells have the same settings but for what is compared; the best epoch is that of the validation
AUC, and that model is scored on test (no refit). The published run stops on test, puts the cold
films into test alone, and leaves held-out low ratings in the pool of observed negatives; here they
are held out.
""",
    metrics=(_METRIC,),
    published=(
        Published(
            "cold, metadata, random",
            {_METRIC: 0.611},
            "hybrid-bpr's blog on negatives and metadata; code: "
            "https://github.com/NatLabRockies/hybrid-bpr",
        ),
        Published("cold, metadata, observed", {_METRIC: 0.644}, "the same"),
        Published("cold, indicator", {_METRIC: 0.5}, "the same"),
    ),
    bars=(
        *(
            Order(
                _label("cold", "metadata", negatives),
                _label("cold", "indicator", negatives),
                _METRIC,
                why=_ORDER,
            )
            for negatives in _NEGATIVES
        ),
        Order(
            _label("cold", "metadata", "observed"),
            _label("cold", "metadata", "random"),
            _METRIC,
            why=_ORDER,
        ),
        *(
            Order(
                _label("warm", features, "random"),
                _label("warm", features, "observed"),
                _METRIC,
                why=_ORDER,
            )
            for features in _FEATURES
        ),
        *(
            Order(
                _label(part, features, "mixed"),
                _label(part, features, negatives),
                _METRIC,
                why=_RATIO,
            )
            for part, features in _MIXED.items()
            for negatives in _NEGATIVES
        ),
    ),
    measure=_measure,
    n_seeds=5,
    plot=_plot,
)
