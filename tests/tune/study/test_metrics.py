"""The metrics of a study, with Ray's played."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hbpr.names import EVAL_S, TRAIN_S
from tune.study import metrics
from tune.study.metrics import METRICS, ExportMetrics
from tune.trial.messages import evaluated, failed


class _Metric:
    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags, self.values = tags, {}

    def set_default_tags(self, tags: dict[str, str]) -> None:
        assert set(tags) <= set(self.tags)

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        assert set(tags or {}) <= set(self.tags)
        self.values[tuple((tags or {}).values())] = value

    def inc(self, value: float = 1.0) -> None:
        self.values[()] = self.values.get((), 0.0) + value


@pytest.fixture
def made() -> dict[str, _Metric]:
    return {}


@pytest.fixture
def export(made: dict[str, _Metric], small_study) -> ExportMetrics:
    def make(name: str, metric: metrics.Metric, tags: tuple[str, ...]) -> _Metric:
        return made.setdefault(name, _Metric(tags))

    return ExportMetrics(
        {"experiment": "e", "study": "s"},
        small_study().sweep.goals(),
        slots=lambda: 3,
        waiting=lambda: 5,
        make=make,
    )


def _trial(name: str, last: dict | None = None, status: str = "RUNNING") -> SimpleNamespace:
    return SimpleNamespace(trial_id=name, last_result=last, status=status, error_file=None)


def test_what_trials_do_is_counted(made: dict[str, _Metric], export: ExportMetrics) -> None:
    a, b, c = (_trial(name) for name in "abc")
    for trial in (a, b, c):
        export.on_trial_start(0, [], trial)
    assert made["hbpr_trials"].values[("running",)] == 3
    result = evaluated({}, 1, (0.25, 1), n_triples=100, train_s=2.0, eval_s=0.5)
    export.on_trial_result(0, [], a, result)
    export.on_trial_result(0, [], b, result | {"best_value": 0.125})
    assert made["hbpr_best_value"].values == {(): 0.25}
    assert made["hbpr_training_positives_total"].values == {(): 200}
    assert made["hbpr_training_seconds_total"].values == {(): 2 * result[TRAIN_S]}
    assert made["hbpr_evaluation_seconds_total"].values == {(): 2 * result[EVAL_S]}
    export.on_trial_recover(0, [], a)
    export.on_trial_complete(0, [], _trial("b", evaluated({}, 2, (0.3, 2), finished=True)))
    export.on_trial_complete(0, [], _trial("c", failed("why", 2)))
    export.on_trial_error(0, [], _trial("a", status="ERROR"))
    assert made["hbpr_trials"].values == {
        ("running",): 0,
        ("finished",): 1,
        ("stopped",): 0,
        ("failed",): 2,
    }
    assert made["hbpr_retries_total"].values == {(): 1}


def test_the_end_counts_what_tune_said_nothing_of(made, export: ExportMetrics) -> None:
    names = "crashed", "stopped", "done", "waiting"
    for name in names:
        export.on_trial_start(0, [], _trial(name))
    finished = evaluated({}, 2, (0.3, 2), finished=True)
    export.on_experiment_end(
        [
            _trial("crashed", status="ERROR"),
            _trial("stopped", status="TERMINATED"),
            _trial("done", finished, status="TERMINATED"),
            _trial("waiting", status="PENDING"),
            _trial("told before", status="ERROR"),
        ]
    )
    assert list(made["hbpr_trials"].values.values()) == [0, 1, 1, 1]


def test_what_others_count_is_read(
    made: dict[str, _Metric], export: ExportMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = metrics.time.monotonic() + 30
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now)
    export.on_step_end(0, [])
    assert made["hbpr_slots"].values == {(): 3}
    assert made["hbpr_recorder_queue"].values == {(): 5}
    assert made["hbpr_recorder_lag_seconds"].values[()] == pytest.approx(30, abs=1)


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "guides" / "cluster.md").read_text()
    assert [name for name in METRICS if f"`ray_{name}`" not in page] == []
