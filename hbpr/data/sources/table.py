"""Any CSV or Parquet table; its columns are named in ``data.table``."""

from typing import TYPE_CHECKING, Final

from hbpr.data.sources.rules import JUDGED_CANDIDATES, JUDGED_SPLITS
from hbpr.data.sources.source import Source

if TYPE_CHECKING:
    from hbpr.data.user_item import UserItemData
    from hbpr.settings.models import DataSettings


def _load(settings: "DataSettings") -> "UserItemData":
    from hbpr.data.table import load_table

    assert settings.table is not None  # the settings refuse it, and the genome
    assert settings.item_feature != "genome"
    return load_table(
        settings.table,
        name=settings.name,
        rating_threshold=settings.rating_threshold,
        item_feature=settings.item_feature,
        user_feature=settings.user_feature,
    )


def _check(settings: "DataSettings") -> None:
    table = settings.table
    if table is None or table.propensity is None:
        return
    if settings.split.kind not in JUDGED_SPLITS or settings.candidates not in JUDGED_CANDIDATES:
        raise ValueError(
            f"table.propensity goes with split.kind {', '.join(JUDGED_SPLITS)} and candidates "
            f"{' or '.join(JUDGED_CANDIDATES)}, got {settings.split.kind} and {settings.candidates}"
        )


def _has_times(settings: "DataSettings") -> bool:
    return settings.table is not None and settings.table.time is not None


TABLE: Final = Source(
    _load, defaults={"name": "table"}, has_times=_has_times, reads_table=True, check=_check
)
