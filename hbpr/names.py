"""Metric names: the one place where trainer, search, records and plots agree on them.

A name is ``part/metric`` or ``part/metric_at_k``, such as ``val/ndcg_at_10``: MLflow refuses ``@``.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

from hbpr.errors import ConfigError
from hbpr.tables import Table, load
from hbpr.words import did_you_mean

Part = Literal["val", "test"]
#: A mean over fewer users says little about others.
FEW_USERS: Final = 30


@dataclass(frozen=True)
class Metric:
    """What is known of a metric without computing it.

    Attributes:
        label: Its name for people.
        function: It, or where it is, as ``module:attribute``. Of ranks: from
            `hbpr.evaluation.Ranks`, and k where it takes one, to (n,) float64 values of the users.
            Of recommended: from `hbpr.evaluation.recommended.Recommended` and k to such values, or
            to one value of all lists. Of neighbours: from
            `hbpr.evaluation.page_shares.Neighbours` to one value, or None where it has no meaning.
            Of exposures: from `hbpr.evaluation.propensity.Exposed` and k, likewise.
        takes_k: Whether it judges the first k of a list; its full name then ends in ``_at_k``.
        higher_is_better: Only such a metric can pick the best epoch and be maximised by a study.
        of: What it is a function of: the ranks of the held-out items, which every evaluation has;
            the lists that are recommended, only where ``training.metrics`` names it; the neighbours
            of items; or exposures of known probability.
        needs_features: Whether it has no meaning without features that describe the items.
    """

    label: str
    function: str | Callable[..., Any]
    takes_k: bool = True
    higher_is_better: bool = True
    of: Literal["ranks", "recommended", "neighbours", "exposures"] = "ranks"
    needs_features: bool = False

    def __call__(self, found: Any, k: int | None = None) -> Any:
        """Compute it; `k` is looked at by a metric of ranks or lists that takes one."""
        function = load(self.function) if isinstance(self.function, str) else self.function
        return function(found, k) if self.takes_k and self.of != "neighbours" else function(found)


_WHOLE: Final = "hbpr.evaluation.metrics.whole"
_LISTS: Final = "hbpr.evaluation.metrics.lists"
_BEYOND: Final = "hbpr.evaluation.metrics.beyond"
_PAGES: Final = "hbpr.evaluation.page_shares"
_EXPOSURES: Final = "hbpr.evaluation.propensity"
#: The metrics by the names that are reported: small letters, digits and ``_``.
METRICS: Final[Table[Metric]] = Table(
    {
        "auc": Metric("AUC", f"{_WHOLE}:auc", takes_k=False),
        "mrr": Metric("MRR", f"{_WHOLE}:mrr", takes_k=False),
        "ndcg": Metric("NDCG", f"{_LISTS}:ndcg_at_k"),
        "precision": Metric("precision", f"{_LISTS}:precision_at_k"),
        "recall": Metric("recall", f"{_LISTS}:recall_at_k"),
        "hr": Metric("HR", f"{_LISTS}:hr_at_k"),
        "map": Metric("MAP", f"{_LISTS}:map_at_k"),
        "coverage": Metric("coverage", f"{_BEYOND}:coverage_at_k", of="recommended"),
        "novelty": Metric("novelty", f"{_BEYOND}:novelty_at_k", of="recommended"),
        "diversity": Metric(
            "diversity", f"{_BEYOND}:diversity_at_k", of="recommended", needs_features=True
        ),
        "arp": Metric(
            "mean popularity", f"{_BEYOND}:arp_at_k", higher_is_better=False, of="recommended"
        ),
        "gini": Metric(
            "Gini index", f"{_BEYOND}:gini_at_k", higher_is_better=False, of="recommended"
        ),
        "page_share": Metric(
            "page share", f"{_PAGES}:page_share", higher_is_better=False, of="neighbours"
        ),
        "mere_page_share": Metric(
            "mere page share", f"{_PAGES}:mere_page_share", higher_is_better=False, of="neighbours"
        ),
        **{
            f"ips_{metric}{end}": Metric(
                f"IPS {label}{told}", f"{_EXPOSURES}:ips_{metric}{end}", of="exposures"
            )
            for metric, label in (("precision", "precision"), ("ndcg", "NDCG"))
            for end, told in (("", ""), ("_low", ", low end"), ("_high", ", high end"))
        },
    }
)

#: What the metrics of an evaluation are functions of.
_REPORTED: Final = ("ranks", "recommended")

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

#: Bytes of a folder's name; file systems take 255.
_LONGEST_FOLDER: Final = 200

_PATTERN: Final = re.compile(r"(val|test)/([a-z][a-z0-9_]*?)(?:_at_([1-9][0-9]*))?")


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


def parse_metric_name(
    name: str, others: Sequence[str] = (), *, told: Sequence[str] = _REPORTED
) -> MetricName:
    """Take the name of a metric that an evaluation reports apart.

    Args:
        name: The name.
        others: What could stand in its place, for the message.
        told: What the metrics that the message names are functions of, see `Metric.of`.

    Raises:
        ConfigError: The name is not one that hbpr reports; the nearest one is given.

    Example:
        >>> parse_metric_name("val/ndcg_at_10")
        MetricName(part='val', metric='ndcg', k=10)
    """
    match = _PATTERN.fullmatch(name)
    if match is not None:
        part, metric, k = match.groups()
        known_metric = METRICS.get(metric)
        if (
            known_metric is not None
            and known_metric.of in _REPORTED
            and known_metric.takes_k == (k is not None)
        ):
            return MetricName(part, metric, int(k) if k else None)
    digits = re.search(r"[1-9][0-9]*", name)
    reported = {m: each for m, each in METRICS.items() if each.of in told}
    at_k = [m for m, each in reported.items() if each.takes_k]
    whole = [m for m, each in reported.items() if not each.takes_k]
    heads = [f"{m}_at_{digits[0] if digits else 10}" for m in at_k]
    known = [f"{part}/{metric}" for part in get_args(Part) for metric in (*heads, *whole)]
    written = name.lower().replace("@", "_at_")
    example = f" For example {known[0]}"
    raise ConfigError(
        f"a metric is val/ or test/ followed by one of {', '.join(f'{m}_at_K' for m in at_k)}, "
        f"{', '.join(whole)}{', or ' if others else ''}{' or '.join(others)}, got {name!r}."
        + did_you_mean(written, [*known, *others], example, likeness=0.5)
    )


def check_validation_metric(name: str) -> str:
    """Return the name of a validation metric that can pick the best epoch, as it is.

    Raises:
        ConfigError: It is none.
    """
    part, metric, _ = parse_metric_name(name, told=("ranks",))
    if part != "val":
        raise ConfigError(f"must be a validation metric (val/...), got {name!r}")
    able = [m for m, each in METRICS.items() if each.of == "ranks" and each.higher_is_better]
    if lower_is_better(name):
        raise ConfigError(
            "must be a metric that is better when higher, since the highest value is taken as the "
            f"best, got {name!r}, which is better when lower. Take one of {', '.join(able)}"
        )
    if METRICS[metric].of == "recommended":
        raise ConfigError(
            "must be a metric of what users chose, since a model that has learnt nothing can have "
            f"the best {metric}, got {name!r}. Take one of {', '.join(able)}, and {metric} as a "
            "second objective or a limit"
        )
    return name


def check_recommended_metric(name: str) -> str:
    """Return the name of a metric of recommended lists, without part and k, as it is.

    Raises:
        ConfigError: It is none.
    """
    able = _recommended_metrics()
    if name not in able:
        example = f" One of {', '.join(able)}"
        raise ConfigError(
            "must be a metric of the recommended lists, without part and k (those of what users "
            f"chose are always reported), got {name!r}." + did_you_mean(name, able, example)
        )
    return name


def _recommended_metrics() -> list[str]:
    return [name for name, metric in METRICS.items() if metric.of == "recommended"]


def recommended_in(names: Sequence[str]) -> list[str]:
    """Return those metrics of recommended lists that full names mention, each once.

    Example:
        >>> recommended_in(["val/ndcg_at_10", "val/gini_at_10", "val/gini_at_20"])
        ['gini']
    """
    found = [match[2] for match in map(_PATTERN.fullmatch, names) if match]
    known = _recommended_metrics()
    return list(dict.fromkeys(metric for metric in found if metric in known))


def lower_is_better(name: str) -> bool:
    """Whether less of a metric or a cost is better; names that are not known are not.

    Example:
        >>> lower_is_better("val/ndcg_at_10"), lower_is_better(ITEM_VECTOR_BYTES)
        (False, True)
    """
    match = _PATTERN.fullmatch(name)
    metric = METRICS.get(match[2]) if match else None
    return name in COSTS or (metric is not None and not metric.higher_is_better)


def best_name(metric: str) -> str:
    """Return the name under which the best value of a metric so far is recorded.

    Example:
        >>> best_name("val/ndcg_at_10")
        'best/ndcg_at_10'
    """
    return f"best/{metric.partition('/')[2]}"


def baseline_name(metric: str, baseline: str = "popularity") -> str:
    """Return the name under which a baseline's value of a metric is recorded.

    Example:
        >>> baseline_name("test/ndcg_at_10"), baseline_name("test/ndcg_at_10", "ease")
        ('baseline/ndcg_at_10', 'ease/ndcg_at_10')
    """
    head = "baseline" if baseline == "popularity" else baseline
    return f"{head}/{metric.partition('/')[2]}"


def folder_name(name: str, kept: str, otherwise: str) -> str:
    """Return a name as one folder can have it: what is not kept becomes ``-``, long ones are cut.

    Args:
        name: Any name.
        kept: The signs that stay beside letters, digits and ``_``, as in a regular expression.
        otherwise: The folder of a name of which nothing is left.

    Example:
        >>> folder_name("Ann's shop", ".+-", "study"), len(folder_name("x" * 500, ".+-", "study"))
        ('Ann-s-shop', 91)
    """
    folder = re.sub(rf"[^\w{kept}]+", "-", name).strip(" .-") or otherwise
    if len(folder.encode()) <= _LONGEST_FOLDER:
        return folder
    return f"{folder[:30]}-{hashlib.sha256(name.encode()).hexdigest()[:60]}"
