"""The time left follows the pace without jumps."""

import itertools
import random

from tune.report.pace import Pace


def test_nothing_is_said_before_a_trial_has_ended_and_after_the_last() -> None:
    pace = Pace()
    assert pace.left_s(4, 0.0) is None
    pace.report(0, 5, 60.0)  # a minute of imports, which nobody waits for again
    pace.report(0, 10, 70.0)
    assert pace.left_s(4, 70.0) is None
    pace.end(0)
    assert pace.left_s(3, 70.0) == 60.0
    assert pace.left_s(0, 70.0) is None


def test_trials_that_report_once_are_counted_from_the_second_one() -> None:
    pace = Pace()
    for number in range(3):
        pace.report(number, 5, 10.0 * number)
        pace.end(number)
        assert pace.left_s(9 - number, 10.0 * number) == (
            None if number == 0 else 10.0 * (9 - number)
        )


def test_a_budget_ends_it_sooner() -> None:
    pace = Pace(budget_s=25.0)
    for number in range(3):
        pace.report(number, 5, 10.0 * number)
        pace.end(number)
    assert pace.left_s(97, 20.0) == 5.0


def test_trials_of_one_length_give_the_truth_at_every_moment() -> None:
    pace, tick = Pace(), 0
    for number in range(10):
        for epoch in range(1, 11):
            tick += 1
            pace.report(number, epoch, float(tick))
            left = pace.left_s(10 - number, float(tick))
            if number:
                assert left is not None
                assert abs(left - (100 - tick)) <= 2.0
        pace.end(number)


def _play(seed: int) -> tuple[list[float], float]:
    """Two slots, trials of 5 or of 50 epochs, a second an epoch; look every second."""
    draw, pace = random.Random(seed), Pace()
    waiting, running = list(range(40)), {}
    shown: list[float] = []
    for second in itertools.count():
        while waiting and len(running) < 2:
            number = waiting.pop(0)
            running[number] = [0, draw.choice([5, 5, 5, 50])]
        for number, (epoch, most) in list(running.items()):
            if epoch == most:
                del running[number]
                pace.end(number)
            else:
                running[number][0] += 1
                pace.report(number, epoch + 1, float(second))
        if not running and not waiting:
            return shown, float(second)
        left = pace.left_s(len(waiting) + len(running), float(second))
        if left is not None:
            shown.append(left)
    raise AssertionError


def test_it_does_not_jump_and_is_right_in_the_end() -> None:
    for seed in range(5):
        shown, wall_s = _play(seed)
        changes = [abs(after - before) for before, after in itertools.pairwise(shown)]
        settled = len(changes) // 3  # the first few trials say little
        assert max(changes[settled:]) < 0.03 * wall_s
        assert shown[-1] < 0.1 * wall_s
        middle = shown[len(shown) // 2]
        assert 0.25 < middle / (wall_s / 2) < 2.5
