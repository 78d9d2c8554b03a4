from dashboards.charts import WIDTH, best_so_far, progress_chart
from hbpr.tracking.records import TrialRecord


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
