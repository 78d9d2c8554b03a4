"""A metric from outside: a `Metric`, or its function alone; used from then on in this process."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

from hbpr.entry_points import brought
from hbpr.errors import ConfigError
from hbpr.names import METRICS, Metric, check_recommended_metric
from hbpr.parts import find, is_path, path_of, split

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_FORM: Final = (
    "a metric is a function of ranks, or of ranks and k, to (n,) values of the users, or a "
    "hbpr.names.Metric"
)
#: What has been put into `METRICS` from outside: its path, by its name there.
_USED: Final[dict[str, str]] = {}


def use_metric(given: Any) -> str:
    """Have a metric of one's own reported by every evaluation of this process.

    Its name in reports is that of the function, such as ``val/NAME_at_10``, or of an entry point.

    Args:
        given: A dotted path, the name of an entry point ``hbpr.metrics``, or an object.

    Returns:
        The path or name that was given, or that leads to the object.

    Raises:
        ConfigError: It cannot be found, is no metric, or its name is taken.
    """
    known = brought("metrics")
    given = given if isinstance(given, str) else path_of(given)
    path = known.get(given, given)
    name = given if given in known else split(path)[1].rpartition(".")[2]
    metric = as_metric(given, find(path))
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{given}: the name of a metric has small letters, digits and _, and begins with a "
            f"letter, got {name!r}"
        )
    if name in METRICS and _USED.get(name) != given:
        other = _USED.get(name, "hbpr's own, or was added")
        raise ConfigError(f"{given}: the metric {name} is {other}; give yours another name")
    if name in METRICS:
        METRICS.remove(name)
    METRICS.add(name, metric)
    _USED[name] = given
    return str(given)


def report_metric(given: Any) -> str:
    """Return what an entry of ``training.metrics`` is stored as, and have it reported.

    Args:
        given: The name of one of hbpr's metrics of recommended lists, or what `use_metric` takes.

    Raises:
        ConfigError: It is neither.
    """
    if not isinstance(given, str) or is_path(given) or given in brought("metrics"):
        return use_metric(given)
    try:
        return check_recommended_metric(given)
    except ConfigError as error:
        raise ConfigError(f"{error}; or the dotted path of a metric of your own") from None


def use_metrics(given: Iterable[str]) -> None:
    """Have what ``training.metrics`` names reported in this process too."""
    for each in given:
        report_metric(each)


def of_lists(given: Iterable[str]) -> list[str]:
    """Return the names in `METRICS` of those metrics that are of recommended lists, each once.

    Args:
        given: As ``training.metrics`` has them.

    Raises:
        ConfigError: One is no metric.
    """
    stored = [report_metric(each) for each in given]
    names = {path: name for name, path in _USED.items()}
    known = dict.fromkeys(names.get(each, each) for each in stored)
    return [name for name in known if METRICS[name].of == "recommended"]


def metrics_in_use() -> dict[str, str]:
    """Return the path, or the name of the entry point, of each metric from outside, by its name."""
    return dict(_USED)


def forget_metric(name: str) -> None:
    """Take a metric that `use_metric` put in out again."""
    del _USED[name]
    METRICS.remove(name)


def as_metric(name: str, part: Any) -> Metric:
    """Return a metric as evaluations take it.

    Raises:
        ConfigError: It is no metric of ranks or of recommended lists.
    """
    if isinstance(part, Metric):
        if part.of == "neighbours":
            raise ConfigError(f"{name}: {_FORM}, got one of {part.of}")
        return part
    if inspect.isclass(part) or not callable(part):
        raise ConfigError(f"{name}: {_FORM}, got {type(part).__name__} {part!r:.60}")
    parameters = inspect.signature(part).parameters.values()
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) not in (1, 2):
        raise ConfigError(f"{name}: {_FORM}, got one of ({', '.join(needed)})")
    label = split(name)[1] if is_path(name) else name
    return Metric(label.replace("_", " "), part, takes_k=len(needed) == 2)
