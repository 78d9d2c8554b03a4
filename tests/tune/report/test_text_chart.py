"""Curves in a terminal."""

import math

from tune.report.text_chart import Curve, chart

RISING = Curve({1: 0.0, 2: 1.0}, "green")
FALLING = Curve({1: 1.0, 2: 0.0}, "cyan")


def test_a_curve_rises_from_corner_to_corner() -> None:
    rows = chart([RISING], width=14, height=3, plain=True)
    top, middle, bottom, foot = [row.plain for row in rows]
    assert top.startswith("1 |")
    assert bottom.startswith("0 |")
    assert top.rstrip().endswith("*")
    assert top.index("*") > middle.index("*") > bottom.index("*")
    assert foot.split() == ["0", "epoch", "2"]
    assert len({len(row.plain) for row in rows[:3]}) == 1


def test_dots_and_colours() -> None:
    rows = chart([FALLING, RISING], width=20, height=2)
    drawn = "".join(row.plain for row in rows)
    assert any("\u2800" < each <= "\u28ff" for each in drawn)
    styles = {str(span.style) for row in rows for span in row.spans}
    assert styles == {"dim", "green", "cyan"}
    last = rows[0].spans[-1]
    assert (str(last.style), last.end) == ("green", len(rows[0])), "the last curve is in front"


def test_one_value_is_a_dot_in_the_middle_and_what_is_not_finite_is_left_out() -> None:
    rows = chart([Curve({4: 2.0, 6: math.nan}, "green")], width=20, height=3, plain=True)
    assert [row.plain.count("*") for row in rows] == [0, 1, 0, 0]
    assert chart([Curve({4: math.inf}, "green"), Curve({}, "green")], width=20, height=3) == []
