"""How much time a study has left, by an estimate that does not jump.

At each moment the pace since the first report says how long the rest takes; what came before it
(processes that start, imports, compilation) happens once. Trials that run count by the epochs that
they have trained, of those that a trial took on average, so the end of a trial changes little.

What is shown counts down with the clock, and moves to the newest estimate by a small part of the
difference a second: by two thirds of it within 20 seconds, or within a tenth of the time left where
that is longer. Early in a study it moves faster, as the first estimates are the worst.
"""

import math
from collections.abc import Iterable
from typing import Final

#: Seconds in which what is shown takes over two thirds of a change, and what they are at least of
#: the time left and at most of the time so far.
_SETTLES_S: Final = 20.0
_OF_LEFT: Final = 0.1
_OF_PASSED: Final = 0.25
#: Share of a trial that counts at most before it has ended.
_MOST_OF_ONE: Final = 0.95


class Pace:
    """Estimates the seconds that are left; times are in seconds on any one clock.

    Args:
        budget_s: Seconds that the budget leaves to this sitting; None: it sets no limit.
    """

    def __init__(self, budget_s: float | None = None) -> None:
        self._budget_s = math.inf if budget_s is None else budget_s
        self._epochs: dict[int, int] = {}
        self._ended_epochs = 0
        self._n_ended = 0
        self._first: tuple[float, int] | None = None  # when the first report came, its epoch
        self._shown: float | None = None
        self._at = -math.inf

    def report(self, number: int, epoch: int, at: float) -> None:
        """Take in how far a trial is."""
        self._first = self._first or (at, epoch)
        self._epochs[number] = epoch

    def end(self, number: int) -> None:
        """Take in that a trial has ended."""
        self._ended_epochs += self._epochs.pop(number, 0)
        self._n_ended += 1

    def left_s(self, n_left: int, now: float) -> float | None:
        """Return the seconds that are left.

        Args:
            n_left: Trials that have not ended, those that run included.
            now: The time.

        Returns:
            None before a trial has ended, and where none is left.
        """
        estimate = self._estimate(n_left, now)
        if estimate is None:
            return None
        if self._shown is None:
            self._shown = estimate
        else:
            passed = max(now - self._at, 0.0)
            counted = self._shown - passed
            keep = math.exp(-passed / self._settles_s(self._shown, now))
            self._shown = max(estimate + keep * (counted - estimate), 0.0)
        self._at = now
        return self._shown

    def _estimate(self, n_left: int, now: float) -> float | None:
        """Return the seconds that are left at the pace so far."""
        if self._first is None or not self._n_ended or n_left <= 0:
            return None
        since, epoch = self._first
        mean = max(self._ended_epochs / self._n_ended, 1.0)
        begun = sum(_shares(self._epochs.values(), mean))
        done = self._n_ended + begun - epoch / mean
        if done <= 0.0:
            return None
        left = (now - since) / done * max(n_left - begun, 0.0)
        return min(left, max(self._budget_s - (now - since), 0.0))

    def _settles_s(self, shown: float, now: float) -> float:
        passed = now - (self._first or (now, 0))[0]
        return max(min(max(_SETTLES_S, _OF_LEFT * shown), _OF_PASSED * passed), 1.0)


def _shares(epochs: Iterable[int], mean: float) -> list[float]:
    return [min(each / mean, _MOST_OF_ONE) for each in epochs]


def roughly(seconds: float) -> str:
    """Return a time left as coarsely as it is known.

    Example:
        >>> roughly(3), roughly(48), roughly(200), roughly(2_000), roughly(9_000)
        ('a few seconds', '50 s', '3 min 30 s', '33 min', '2 h 30 min')
    """
    if seconds < 5:
        return "a few seconds"
    if seconds < 55:
        return f"{_to(seconds, 10)} s"
    if seconds < 585:
        minutes, rest = divmod(_to(seconds, 30), 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    if seconds < 3570:
        return f"{_to(seconds, 60) // 60} min"
    hours, minutes = divmod(_to(seconds, 600) // 60, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def _to(seconds: float, step: int) -> int:
    """Return the nearest multiple of a step, at least one."""
    return max(round(seconds / step), 1) * step
