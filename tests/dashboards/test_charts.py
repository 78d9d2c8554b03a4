from dataclasses import replace

from dashboards.charts import WIDTH, best_so_far, front_chart, progress_chart
from dashboards.study_page import study_page
from hbpr.tracking.findings import Findings
from hbpr.tracking.goals import Goals, Objective
from hbpr.tracking.records import Identity, StudyRecord, Tracking, TrialRecord


def trial(number: int, value: float | None, state: str = "COMPLETE") -> TrialRecord:
    return TrialRecord(number, {}, state, value, {} if value is None else {1: value})


def test_the_best_so_far_is_of_what_can_win() -> None:
    states = ["PRUNED", "COMPLETE", "FAIL", "COMPLETE", "PRUNED"]
    assert best_so_far([0.9, 0.2, None, 0.3, 0.1], states) == [None, 0.2, 0.2, 0.3, 0.3]
    assert best_so_far([0.1, 0.3, 0.2], ["PRUNED"] * 3) == [0.1, 0.3, 0.3]
    assert best_so_far([], []) == []


def test_progress_has_a_dot_for_each_value_inside_of_its_box() -> None:
    values = [0.2, None, 0.4, 0.1, float("nan")]
    chart = progress_chart([(number, trial(number, value)) for number, value in enumerate(values)])
    assert chart is not None
    assert [dot.title for dot in chart.dots] == [
        f"trial {number}: {values[number]:.4f}, finished" for number in (0, 2, 3)
    ]
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= chart.height for dot in chart.dots)
    low, high = chart.dots[2].y, chart.dots[1].y
    assert high < low, "better is higher up"
    assert len(chart.line) == 3
    assert progress_chart([(0, trial(0, None, "FAIL"))]) is None
    assert progress_chart([]) is None


def test_one_value_is_a_chart_too() -> None:
    chart = progress_chart([(0, trial(0, 0.5))])
    assert chart is not None
    assert len(chart.dots) == len(chart.line) == 1


def test_a_front_without_finished_trials_has_no_chart() -> None:
    goals = Goals((Objective("val/auc", "max"), Objective("item_vector_bytes", "min")))
    record = StudyRecord(
        Identity("s", "s", "e"),
        Tracking("sqlite:///x"),
        goals,
        (trial(0, 0.1, "PRUNED"),),
        findings=Findings(front=(0,)),
    )
    assert front_chart(record) is None


def test_a_page_of_many_trials_has_the_best_in_its_table_and_a_dot_for_each() -> None:
    trials = tuple(trial(number, number / 1000, "PRUNED") for number in range(500))
    record = StudyRecord(
        Identity("s", "s", "e"), Tracking("x"), Goals((Objective("val/auc", "max"),)), trials
    )
    page = study_page(record)
    assert page.count("<circle") == 500
    assert "The best 200 of 500" in page
    assert "<td>trial-499</td><td>pruned</td>" in page
    assert "<td>trial-299</td>" not in page
    assert "All trials" not in study_page(replace(record, trials=()))
