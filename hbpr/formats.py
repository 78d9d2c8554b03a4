"""How values are written for people, on every page and in every message."""

import math
from collections.abc import Mapping
from typing import Any

from hbpr.names import ITEM_VECTOR_BYTES
from hbpr.settings.load import dotted


def as_words(settings: Mapping[str, Any]) -> str:
    """Return settings as one line.

    Example:
        >>> as_words({"optimizer.lr": 0.0123456, "training.negatives": {"kind": "mixed"}})
        'optimizer.lr=0.01235, training.negatives={kind=mixed}'
    """
    return ", ".join(f"{key}={in_words(value)}" for key, value in settings.items())


def in_words(value: Any, digits: int = 4) -> str:
    """Return a setting's value, or a section's in braces."""
    if isinstance(value, Mapping):
        return f"{{{as_words(dotted(value))}}}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def as_cell(value: Any) -> str:
    """Return a setting as a table shows it; of a section the settings that its choice names.

    Example:
        >>> as_cell(0.1234567), as_cell({"kind": "mixed"})
        ('0.12346', 'kind=mixed')
    """
    return in_words(value, digits=5).strip("{}")


def measured_cell(name: str, value: float) -> str:
    """Return the value of a metric or a cost as a table shows it.

    Example:
        >>> measured_cell("item_vector_bytes", 1536000.0), measured_cell("val/auc", 0.91234)
        ('1,536,000', '0.9123')
    """
    return f"{value:,.0f}" if name == ITEM_VECTOR_BYTES else f"{value:.4f}"


def counted(count: int, what: str) -> str:
    """Return how many there are of something.

    Example:
        >>> counted(1, "trial"), counted(2000, "trial")
        ('1 trial', '2,000 trials')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time as a person says it.

    Example:
        >>> duration(7.4), duration(83), duration(7262)
        ('7 s', '1 min 23 s', '2 h 1 min')
    """
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def times_line(sitting_s: float, before_s: float) -> str:
    """Return how long trials ran: of a resumed study over all sittings too.

    Example:
        >>> times_line(8.0, 0.0), times_line(8.0, 62.0)
        ('8 s', '8 s (1 min 10 s over all sittings)')
    """
    total = f" ({duration(sitting_s + before_s)} over all sittings)" if before_s else ""
    return f"{duration(sitting_s)}{total}"


def data_words(name: str, n_users: int | None, n_items: int | None) -> str:
    """Return the data in words.

    Example:
        >>> data_words("ml-100k", 943, 1682), data_words("", None, None)
        ('ml-100k: 943 users, 1,682 items', '')
    """
    counts = "" if n_users is None else f"{n_users:,} users, {n_items:,} items"
    return ": ".join(filter(None, [name, counts]))
