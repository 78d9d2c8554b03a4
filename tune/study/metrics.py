"""What a study tells Prometheus, on the metrics port of the driver's node.

Ray puts ``ray_`` before the names and exports them about every ten seconds.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ray import tune as ray_tune

from dashboards.words import STATES
from hbpr.names import EVAL_S, TRAIN_S
from tune.settings.goals import Goals
from tune.trial.messages import N_TRIPLES, Result, best_of, outcome_of, untold_ends

#: Seconds between two readings of what is counted elsewhere.
_READ_EVERY_S: Final = 2.0


@dataclass(frozen=True)
class Metric:
    """A metric: ``Counter``, which only rises, or ``Gauge``; its unit is at the end of its name."""

    kind: str
    help: str
    tags: tuple[str, ...] = ()


METRICS: Final = {
    "hbpr_trials": Metric(
        "Gauge", "Trials of this sitting: running, finished, stopped, failed.", ("state",)
    ),
    "hbpr_best_value": Metric("Gauge", "Best value of the first objective so far, in its unit."),
    "hbpr_training_positives_total": Metric(
        "Counter", "Positive interactions that trials trained on; its rate is the throughput."
    ),
    "hbpr_training_seconds_total": Metric("Counter", "Seconds of training, over all trials."),
    "hbpr_evaluation_seconds_total": Metric("Counter", "Seconds of evaluation, over all trials."),
    "hbpr_retries_total": Metric("Counter", "Trials started again after a crash."),
    "hbpr_slots": Metric("Gauge", "Trials that the cluster holds at a time."),
    "hbpr_recorder_queue": Metric("Gauge", "Records that MLflow has not taken yet."),
    "hbpr_recorder_lag_seconds": Metric(
        "Gauge", "Seconds since MLflow had everything; 0 while it has."
    ),
}


def _ray_metric(name: str, metric: Metric, tags: tuple[str, ...]) -> Any:
    from ray.util import metrics

    return getattr(metrics, metric.kind)(name, description=metric.help, tag_keys=tags)


class ExportMetrics(ray_tune.Callback):
    """Exports the metrics of a study while its trials run.

    Args:
        about: Tags of every metric: experiment and study.
        goals: What trials are compared by.
        slots: Returns the trials that the cluster holds.
        waiting: Returns the records that MLflow has not taken.
        make: Makes a metric of Ray's.
    """

    def __init__(
        self,
        about: Mapping[str, str],
        goals: Goals,
        *,
        slots: Callable[[], int],
        waiting: Callable[[], int],
        make: Callable[[str, Metric, tuple[str, ...]], Any] = _ray_metric,
    ) -> None:
        self._goals, self._slots, self._waiting = goals, slots, waiting
        self._metrics = {
            name: make(name, metric, (*about, *metric.tags)) for name, metric in METRICS.items()
        }
        for metric in self._metrics.values():
            metric.set_default_tags(dict(about))
        self._states = Counter(dict.fromkeys(["running", *STATES.values()], 0))
        self._running: set[str] = set()
        self._best: float | None = None
        self._read_at = float("-inf")
        self._complete_at = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that runs."""
        self._running.add(trial.trial_id)
        self._show_states()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Add up the work and keep the best value."""
        for name, key in (
            ("hbpr_training_positives_total", N_TRIPLES),
            ("hbpr_training_seconds_total", TRAIN_S),
            ("hbpr_evaluation_seconds_total", EVAL_S),
        ):
            if result.get(key, 0) > 0:
                self._metrics[name].inc(result[key])
        value = best_of(result, self._goals)
        if value is not None and (self._best is None or value > self._best):
            self._best = value
            self._metrics["hbpr_best_value"].set(value)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that is started again."""
        self._metrics["hbpr_retries_total"].inc()
        self._running.discard(trial.trial_id)
        self._show_states()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that ended in order."""
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that crashed once too often."""
        self._end(trial)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Count trials of whose end Tune said nothing; no trial runs any more."""
        for trial in untold_ends(trials):
            if trial.trial_id in self._running:
                self._end(trial)
        self._running.clear()
        self._show_states()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Read what is counted elsewhere, once in a while."""
        now = time.monotonic()
        if now - self._read_at < _READ_EVERY_S:
            return
        self._read_at = now
        waiting = self._waiting()
        if not waiting:
            self._complete_at = now
        self._metrics["hbpr_slots"].set(self._slots())
        self._metrics["hbpr_recorder_queue"].set(waiting)
        self._metrics["hbpr_recorder_lag_seconds"].set(now - self._complete_at)

    def _end(self, trial: Any) -> None:
        self._running.discard(trial.trial_id)
        self._states[STATES[outcome_of(trial).state]] += 1
        self._show_states()

    def _show_states(self) -> None:
        self._states["running"] = len(self._running)
        for state, count in self._states.items():
            self._metrics["hbpr_trials"].set(count, tags={"state": state})
