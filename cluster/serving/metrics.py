"""What Prometheus is told, over all processes of a server.

Where several processes answer, ``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share; it must
be there before this module is imported.
"""

import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

#: The environment variable that prometheus_client reads.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_OWN = CollectorRegistry()
_SECONDS = Histogram(
    "hbpr_request_seconds",
    "Time from a request's head to the end of its answer.",
    ["route", "method"],
    registry=_OWN,
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0),
)
_REQUESTS = Counter(
    "hbpr_requests_total", "Requests answered.", ["route", "method", "status"], registry=_OWN
)
_LISTS = Counter("hbpr_lists_total", "Lists made, by whom they are for.", ["user"], registry=_OWN)
_UNKNOWN = Counter("hbpr_unknown_users_total", "Users asked for and not known.", registry=_OWN)
_RELOADS = Counter("hbpr_reloads_total", "Times that a process took a new model.", registry=_OWN)
_LOADED = Gauge(
    "hbpr_model_loaded_timestamp_seconds",
    "When a process took its model.",
    ["model"],
    registry=_OWN,
    multiprocess_mode="mostrecent",
)
_METHODS = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))


def observe(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request, by its route, never by what it asked for."""
    time, count = _of_request(route, method if method in _METHODS else "other", status)
    time.observe(seconds)
    count.inc()


@cache  # finding a child by its labels takes longer than counting; routes and statuses are few
def _of_request(route: str, method: str, status: int) -> tuple[Histogram, Counter]:
    return _SECONDS.labels(route, method), _REQUESTS.labels(route, method, str(status))


@cache
def _of_lists(user: str) -> Counter:
    return _LISTS.labels(user)


def count_lists(user: str, n: int = 1) -> None:
    """Count lists for ``known`` or ``new`` users."""
    _of_lists(user).inc(n)


def count_unknown(n: int = 1) -> None:
    """Count users that are not known."""
    _UNKNOWN.inc(n)


def count_reload() -> None:
    """Count a new model."""
    _RELOADS.inc()


def note_model(version: str) -> None:
    """Say which model this process answers with."""
    _LOADED.labels(version).set_to_current_time()


def render() -> bytes:
    """Return all of it in Prometheus' text format."""
    if SHARED_FOLDER not in os.environ:
        return bytes(generate_latest(_OWN))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(registry))
