"""What stopped trials would have come to, from those that went on: values with their uncertainty.

A scheduler stops trials by the values that it saw, so among trials with the same value at an epoch,
those that went on are like those that were stopped there: regressions from one epoch to the next
are not misled by it, although the means of those that went on are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.tracking.records import TrialRecord

#: Pseudo-observations that pull a slope to "all gain the same from here on".
_PRIOR: Final = 2.0
#: Deviation of what is carried on from below the lowest value that went on, as a share of the
#: distance to it: nothing was seen there, and slow learners catch up.
_UNSEEN: Final = 0.5


@dataclass(frozen=True)
class Ends:
    """The best value that each trial has, or would have, at its end.

    Attributes:
        values: (n,) values, expected ones of stopped trials.
        covariance: (n, n) of their errors; 0 for trials that ran to their end.
    """

    values: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def known(cls, values: Sequence[float]) -> "Ends":
        """Values without an error."""
        return cls(np.array(values, np.float64), np.zeros((len(values), len(values))))


def expected_ends(trials: Sequence[TrialRecord]) -> Ends:
    """Return the end of each trial; all need a report.

    The best value so far is carried on from each epoch at which trials were stopped to the next,
    by a regression over the trials that went on. Errors of its line are those of all that are
    carried on by it.

    Source:
        Monotone missing values, missing at random: Little and Rubin, Statistical Analysis with
        Missing Data, 2002, chapter 7.

    Example:
        >>> def trial(state, *values):
        ...     reports = dict(enumerate(values, 1))
        ...     return TrialRecord(0, {}, state, max(values), reports)
        >>> ran = [trial("COMPLETE", 0.1 * n, 0.1 * n + 0.05) for n in range(3, 9)]
        >>> ends = expected_ends([*ran, trial("PRUNED", 0.4)])
        >>> [round(float(value), 3) for value in ends.values[[0, -1]]]
        [0.35, 0.45]
    """
    last = np.array([np.inf if t.state == "COMPLETE" else t.epochs for t in trials], float)
    if np.isfinite(last).all():  # nothing ran to its end: what came furthest is the end
        last[last == last.max()] = np.inf
    epochs = sorted({int(each) for each in last[np.isfinite(last)]})
    table = np.array([[_best_until(trial, epoch) for epoch in [*epochs, None]] for trial in trials])
    values = table[:, -1].copy()
    covariance = np.zeros((len(trials), len(trials)))
    for column, epoch in enumerate(epochs):
        carried = np.flatnonzero(last <= epoch)
        values[last == epoch] = table[last == epoch, column]
        x, later = table[last > epoch, column], table[last > epoch, column + 1]
        slope, gains, errors = _line(x, later - x, table[:, column].var(), values[carried])
        inner = covariance[np.ix_(carried, carried)]
        covariance[np.ix_(carried, carried)] = (1.0 + slope) ** 2 * inner + errors
        values[carried] += np.maximum(gains, 0.0)  # a best value does not fall
    return Ends(values, covariance)


def _best_until(trial: TrialRecord, epoch: int | None) -> float:
    """Return the best value up to an epoch; the first one where that comes later."""
    known = {e: value for e, value in trial.reports.items() if value == value}
    seen = [value for e, value in known.items() if epoch is None or e <= epoch]
    return max(seen) if seen else known[min(known)]


def _line(
    x: NDArray[np.float64],
    gain: NDArray[np.float64],
    spread: float,
    at: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the slope of the gain on a value, the gains at some, and their covariance."""
    spread = spread + 1e-18
    off = x - x.mean()
    weight = float(off @ off) + _PRIOR * spread
    slope = float(off @ gain) / weight
    left = gain - gain.mean() - slope * off
    noise = (float(left @ left) + _PRIOR * spread / 4.0) / len(x)
    away, unseen = at - x.mean(), np.maximum(x.min() - at, 0.0) * _UNSEEN
    errors = noise * (np.eye(len(at)) + 1.0 / len(x) + np.outer(away, away) / weight)
    return slope, gain.mean() + slope * away, errors + np.outer(unseen, unseen)
