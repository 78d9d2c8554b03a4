"""Settings that make the exam: what validation holds, what it is ranked among, what is measured.

A search compares trials by their values, so all of them sit the same exam. Were it searched, the
trial with the easiest one would win.
"""

from typing import Final

from tune.space.dimensions import Dimension
from tune.space.words import refuse

#: Of the data, what trials may differ in: what is known of users and items, and how much each
#: interaction counts in training.
_LEARNT: Final = (
    "data.item_feature",
    "data.user_feature",
    "data.table.item_features",
    "data.table.user_features",
    "data.table.weight",
)
#: Of the training, what says how a trial is measured.
_MEASURED: Final = ("training.top_k", "training.metrics")


def is_exam(key: str) -> bool:
    """Whether a dotted setting changes what trials are asked.

    Example:
        >>> [is_exam(key) for key in ("data.candidates", "data.split.seed", "data.item_feature")]
        [True, True, False]
    """
    return (key.startswith("data.") and not key.startswith(_LEARNT)) or key in _MEASURED


def check_exam(dimension: Dimension) -> None:
    """Refuse a dimension whose values differ in the exam.

    Raises:
        SpaceError: It searches such a setting, alone or in the choices of a section.
    """
    named = [
        setting
        for value in dimension.domain.probes()
        for setting in dimension.named(value)
        if is_exam(setting)
    ]
    if not named:
        return
    what = (
        "it changes" if named[0] == dimension.key else f"its choices name {named[0]}, which changes"
    )
    if named[0] in _MEASURED:
        raise refuse(
            dimension.key,
            f"not searchable: {what} what is measured, not how good a trial is, got "
            f"{_values(dimension)}. Write all that you want to see into {named[0]} itself.",
        )
    raise refuse(
        dimension.key,
        f"not searchable: {what} what validation holds or what it is ranked among, so the trial "
        f"with the easiest exam would win, got {_values(dimension)}. Set one value under data, or "
        "run a study for each; of data, item_feature, user_feature, table.item_features, "
        "table.user_features and table.weight can be searched.",
    )


def _values(dimension: Dimension) -> str:
    return dimension.ends or ", ".join(map(repr, dimension.domain.probes()))
