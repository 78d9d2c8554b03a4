"""Learning curves of many runs, read in bulk: no call a run.

On a database MLflow's own store is asked for the history of hundreds of runs at once; on a server
the route that MLflow's pages use for the same.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hbpr.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: Runs asked for at once: parameters of a statement, and what a server's route takes.
_RUNS_OF_DATABASE: Final = 500
_RUNS_OF_SERVER: Final = 100
#: Points that a server answers with at most.
_MOST_POINTS: Final = 25_000
_ROUTE: Final = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

#: Step -> value, rising.
Curve = dict[int, float]
#: Run id, end of the run and metric -> curve.
Cache = dict[tuple[str, int, str], Curve]


def read_histories(
    client: "MlflowClient", runs: "Iterable[Run]", metric: str, cache: Cache | None = None
) -> dict[str, Curve]:
    """Return the curves of the runs that have a metric; see `read_curves`."""
    some = {run.info.run_id: run.info.end_time for run in runs if metric in run.data.metrics}
    return read_curves(client, some, metric, cache)


def read_curves(
    client: "MlflowClient",
    ends: Mapping[str, int | None],
    metric: str,
    cache: Cache | None = None,
) -> dict[str, Curve]:
    """Return the finite values of a metric by step; of a step that was logged twice the last one.

    Args:
        client: Of the store that has the runs.
        ends: When each run ended, by its id; None while it runs.
        metric: Its name.
        cache: Curves of runs that had ended when they were read; filled here.

    Raises:
        MlflowException: The store does not answer.
        TrackingError: A server answers with something else.
    """
    cache = {} if cache is None else cache
    found: dict[str, Curve] = {}
    wanted: dict[str, int | None] = {}
    for run_id, ended in ends.items():
        known = None if ended is None else cache.get((run_id, ended, metric))
        if known is None:
            wanted[run_id] = ended
        else:
            found[run_id] = known
    for run_id, curve in _read(client, list(wanted), metric).items():
        found[run_id] = curve = dict(sorted(curve.items()))
        ended = wanted[run_id]
        if ended is not None:
            cache[run_id, ended, metric] = curve
    return found


def _read(client: "MlflowClient", run_ids: list[str], metric: str) -> dict[str, Curve]:
    curves: dict[str, Curve] = {run_id: {} for run_id in run_ids}
    store: Any = client._tracking_client.store
    if hasattr(store, "get_metric_history_bulk"):
        for some in _chunks(run_ids, _RUNS_OF_DATABASE):
            for point in store.get_metric_history_bulk(some, metric, None):
                _add(curves[point.run_id], point.step, point.value)
        return curves
    for some in _chunks(run_ids, _RUNS_OF_SERVER):
        points = _ask(store, some, metric)
        if len(points) < _MOST_POINTS:
            for each in points:
                _add(curves[each["run_id"]], int(each.get("step", 0)), float(each["value"]))
            continue
        for run_id in some:  # cut off: pages of one run each
            for point in client.get_metric_history(run_id, metric):
                _add(curves[run_id], point.step, point.value)
    return curves


def _ask(store: Any, run_ids: Sequence[str], metric: str) -> list[Mapping[str, Any]]:
    from mlflow.utils.rest_utils import http_request

    asked = {"run_id": list(run_ids), "metric_key": metric, "max_results": _MOST_POINTS}
    answer = http_request(store.get_host_creds(), _ROUTE, "GET", params=asked)
    try:
        answer.raise_for_status()
        points: list[Mapping[str, Any]] = answer.json()["metrics"]
    except (OSError, ValueError, KeyError) as error:
        raise TrackingError(
            f"MLflow's server gave no curves at {_ROUTE} (status {answer.status_code}); is it "
            "MLflow 3, and may this user read the experiment?"
        ) from error
    return points


def _add(curve: Curve, step: int, value: float) -> None:
    if math.isfinite(value):
        curve[step] = value


def _chunks(names: list[str], size: int) -> list[list[str]]:
    return [names[i : i + size] for i in range(0, len(names), size)]
