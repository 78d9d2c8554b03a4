"""Metric names: the one place where trainer, search, records and plots agree on them.

A name is ``part/metric`` or ``part/metric_at_k``, such as ``val/ndcg_at_10``: MLflow refuses ``@``.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, get_args

from hbpr.errors import ConfigError
from hbpr.words import near_words

Part = Literal["val", "test"]

#: Metrics that judge the first k items of each user's list.
AT_K: Final = ("ndcg", "precision", "recall", "hr", "map")
#: Metrics of the whole ranking.
WHOLE: Final = ("auc", "mrr")
#: Shares of an item's k neighbours that are on its pages; less is better, and no search goes by it.
PAGE_SHARE: Final = "page_share"
MERE_PAGE_SHARE: Final = "mere_page_share"

#: Per-epoch values that are not metrics of a ranking.
LOSS: Final = "train/loss"
TRAIN_S: Final = "time/train_s"
EVAL_S: Final = "time/eval_s"
#: Share of each user's training positives that an epoch visited, where it grows.
DATA_SHARE: Final = "train/data_share"

#: What serving a model takes, measured once a trial: bytes of all item vectors, and milliseconds of
#: CPU time to score the whole catalogue for one user. Less is better.
ITEM_VECTOR_BYTES: Final = "item_vector_bytes"
SCORE_CPU_MS: Final = "score_cpu_ms"
COSTS: Final = (ITEM_VECTOR_BYTES, SCORE_CPU_MS)

_PATTERN: Final = re.compile(r"(val|test)/([a-z]+)(?:_at_([1-9][0-9]*))?")


class MetricName(NamedTuple):
    """A metric name taken apart; `k` is None for metrics of the whole ranking."""

    part: str
    metric: str
    k: int | None


def metric_name(part: Part, metric: str, k: int | None = None) -> str:
    """Return the full name of a metric.

    Example:
        >>> metric_name("val", "ndcg", 10), metric_name("test", "auc")
        ('val/ndcg_at_10', 'test/auc')
    """
    return f"{part}/{metric}" if k is None else f"{part}/{metric}_at_{k}"


def parse_metric_name(name: str, others: Sequence[str] = ()) -> MetricName:
    """Take a metric name apart.

    Args:
        name: The name.
        others: What could stand in its place, for the message.

    Raises:
        ConfigError: The name is not one that hbpr reports; the nearest one is given.

    Example:
        >>> parse_metric_name("val/ndcg_at_10")
        MetricName(part='val', metric='ndcg', k=10)
    """
    match = _PATTERN.fullmatch(name)
    if match is not None:
        part, metric, k = match.groups()
        if (metric in AT_K and k is not None) or (metric in WHOLE and k is None):
            return MetricName(part, metric, int(k) if k else None)
    digits = re.search(r"[1-9][0-9]*", name)
    heads = [f"{m}_at_{digits[0] if digits else 10}" for m in AT_K]
    known = [f"{part}/{metric}" for part in get_args(Part) for metric in (*heads, *WHOLE)]
    written = name.lower().replace("@", "_at_")
    near = near_words(written, [*known, *others], likeness=0.5)
    raise ConfigError(
        f"a metric is val/ or test/ followed by one of {', '.join(f'{m}_at_K' for m in AT_K)}, "
        f"{', '.join(WHOLE)}{', or ' if others else ''}{' or '.join(others)}, got {name!r}. "
        + (f"Did you mean {near[0]}?" if near else f"For example {known[0]}")
    )


def check_validation_metric(name: str) -> str:
    """Return the name of a metric of the validation part as it is.

    Raises:
        ConfigError: It is none.
    """
    if parse_metric_name(name).part != "val":
        raise ConfigError(f"must be a validation metric (val/...), got {name!r}")
    return name


def best_name(metric: str) -> str:
    """Return the name under which the best value of a metric so far is recorded.

    Example:
        >>> best_name("val/ndcg_at_10")
        'best/ndcg_at_10'
    """
    return f"best/{metric.partition('/')[2]}"


def baseline_name(metric: str) -> str:
    """Return the name under which a baseline's value of a metric is recorded.

    Example:
        >>> baseline_name("test/ndcg_at_10")
        'baseline/ndcg_at_10'
    """
    return f"baseline/{metric.partition('/')[2]}"
