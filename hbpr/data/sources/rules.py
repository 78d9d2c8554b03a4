"""What does not go together with a source, said before anything is read."""

from typing import Any, Final, Protocol

from hbpr.data.sources import SOURCES, Source
from hbpr.errors import ConfigError
from hbpr.parts import path_of

#: Values of ``data.item_feature`` that every source has.
_FEATURES: Final = ("indicator", "metadata", "both")

#: Splits and candidates under which it is known how probable a held-out pair was.
JUDGED_SPLITS: Final = ("random", "temporal", "fixed")
JUDGED_CANDIDATES: Final = ("all", "unseen")


class Split(Protocol):
    """What rules look at of a split, see `hbpr.settings.data.SplitSettings`."""

    @property
    def kind(self) -> str:
        """Such as ``random``."""

    @property
    def name(self) -> str | None:
        """The published test part, for kind fixed."""


class Checked(Protocol):
    """What rules look at of settings, see `hbpr.settings.data.DataSettings`."""

    @property
    def source(self) -> str:
        """A name of `SOURCES`."""

    @property
    def name(self) -> str:
        """The dataset."""

    @property
    def table(self) -> object | None:
        """The file of a source that reads one."""

    @property
    def item_feature(self) -> str:
        """Features of an item."""

    @property
    def split(self) -> Split:
        """How the three parts are made."""

    @property
    def candidates(self) -> str:
        """What held-out items are ranked among."""


def with_defaults(values: Any) -> Any:
    """Return a ``data`` section with what its source means by keys that are left out."""
    if not isinstance(values, dict) or values.get("source") is None:
        return values
    try:
        name = values["source"]
        name = path_of(name) if callable(name) or isinstance(name, Source) else name
        return {**SOURCES[name].defaults, **values, "source": name}
    except (ConfigError, KeyError, TypeError):  # refused where it stands
        return values


def check(settings: Checked) -> None:
    """Refuse settings that their source cannot meet.

    Raises:
        ValueError: The message names the setting that is to be changed.
    """
    source, kind = SOURCES[settings.source], settings.split.kind
    dataset = f"{settings.source} {settings.name}"
    if settings.item_feature not in (*_FEATURES, *source.item_features(settings)):
        raise ValueError(
            f"item_feature {settings.item_feature} is published with movielens ml-20m and ml-25m "
            f"only, got {dataset}; use indicator, metadata or both"
        )
    if (settings.table is not None) != source.reads_table:
        raise ValueError(
            f"table goes with source table, got source {settings.source} "
            f"{'without' if settings.table is None else 'with'} table"
        )
    if kind in ("leave_one_out", "temporal") and not source.has_times(settings):
        raise ValueError(
            f"split.kind {kind} needs times, which this {settings.source} does not have; "
            f"{'name the column table.time, or ' if settings.table else ''}use another kind"
        )
    source.check(settings)
    folds = source.folds(settings)
    if kind == "fixed" and not folds:
        raise ValueError(
            f"split.kind fixed: {dataset} has no published test part; use another kind"
        )
    if kind == "fixed" and settings.split.name not in folds:
        names = ", ".join(fold or "no name" for fold in folds)
        raise ValueError(f"split.name: expected one of {names}, got {settings.split.name!r}")
    if settings.candidates == "fixed" and not (source.has_lists and kind == "leave_one_out"):
        having = " and ".join(name for name, each in SOURCES.items() if each.has_lists)
        raise ValueError(
            f"candidates: fixed lists are published for {having} with leave_one_out only, got "
            f"{settings.source} with {kind}; use all, unseen or observed"
        )
