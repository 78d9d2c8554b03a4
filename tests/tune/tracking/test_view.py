"""The saved view of a study in MLflow: all trials in it, whatever settings they lack."""

import json
from typing import Any

from hbpr.tracking.store import open_client
from tune.space.dimensions import partly_written, written_settings
from tune.tracking.view import study_view

SPACE: dict[str, Any] = {
    "optimizer.lr": {"low": 0.01, "high": 0.1, "log": True},
    "training.negatives.kind": ["uniform", "mixed"],
    "training.negatives.observed": {
        "low": 0.1,
        "high": 0.9,
        "when": {"training.negatives.kind": "mixed"},
    },
    "training.negatives.per_positive": {
        "choices": [1, 2],
        "when": {"training.negatives.kind": "mixed"},
    },
}


def state_of(space: dict[str, Any], **more: Any) -> dict[str, Any]:
    _, view = study_view(
        "s1",
        "study s1",
        "val/auc",
        written_settings(space),
        created_at=1,
        partly=partly_written(space),
        **more,
    )
    assert len(view) < 20_000, "what an experiment's tag holds"
    return json.loads(json.loads(view)["state"])


def parallel(state: dict[str, Any]) -> dict[str, tuple[list[str], list[str]]]:
    """Section -> settings and metrics of its parallel coordinates."""
    names = {each["uuid"]: each["name"] for each in state["compareRunSections"]}
    return {
        names[each["metricSectionId"]]: (each["selectedParams"], each["selectedMetrics"])
        for each in state["compareRunCharts"]
        if each["type"] == "PARALLEL"
    }


def test_the_chart_of_all_trials_has_what_all_trials_have() -> None:
    everywhere = ["optimizer.lr", "training.negatives.kind"]
    some = ["training.negatives.observed", "training.negatives.per_positive"]
    charts = parallel(state_of(SPACE, others=["score_cpu_ms"]))
    assert charts == {
        "All trials": (everywhere, ["best/auc", "score_cpu_ms"]),
        f"Trials with {', '.join(some)}": ([*everywhere, *some], ["best/auc", "score_cpu_ms"]),
    }


def test_a_space_without_conditions_has_one() -> None:
    assert list(parallel(state_of({"optimizer.lr": [0.1, 0.2]}))) == ["All trials"]


def test_conditions_on_conditions_and_choices_of_sections() -> None:
    first = {"b": {"low": 0, "high": 1, "when": {"a": 1}}}
    second = {"c": {"low": 0, "high": 1, "when": {"b": [0, 1]}}}
    assert partly_written({"a": [0, 1]} | first | second) == [["b"], ["b", "c"]]
    sections = {"m": [{"kind": "x", "n": 1}, {"kind": "y", "k": 2, "l": 3}]}
    assert partly_written(sections) == [["m.n"], ["m.k", "m.l"]]
    assert partly_written({"m": [{"kind": "x"}, {"kind": "y"}]}) == []


def test_a_large_space_fits_into_the_tag() -> None:
    space: dict[str, Any] = {"training.negatives.kind": [f"kind-{i}" for i in range(40)]}
    for i in range(40):
        key = f"training.a_section_with_a_long_name.and_a_long_setting_{i}"
        space[key] = {"low": 0, "high": 1, "when": {"training.negatives.kind": f"kind-{i}"}}
    assert len(parallel(state_of(space))) == 5


def test_the_table_tells_stopped_from_failed(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    recording.play(recorder, 0, [0.1], finished=True)
    recording.play(recorder, 1, [0.1], finished=False)
    recorder.start_trial(2, {"optimizer.lr": 0.1})
    recorder.end_trial(2, "FAILED", "why")
    assert recorder.finish()
    states = {name: run.data.tags.get("hbpr.state") for name, run in recording.runs().items()}
    assert states == {
        "study s1": None,
        "trial-000": "finished",
        "trial-001": "stopped",
        "trial-002": "failed",
    }
    experiment = open_client(recording.uri).get_experiment_by_name("films")
    view = json.loads(experiment.tags["mlflow.sharedViewState.s1"])
    assert json.loads(view["state"])["selectedColumns"][0] == "tags.`hbpr.state`"
