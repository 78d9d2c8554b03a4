"""What the trials of a study are compared by; the types are those of a study's record."""

from collections.abc import Mapping
from typing import Any

from hbpr.tracking.goals import Goals, Limit, Objective

__all__ = ["Goals", "Limit", "Objective", "best_of"]


def best_of(result: Mapping[str, Any], goals: Goals) -> float | None:
    """Return the best value so far that a trial's result names, if the trial can win with it.

    With limits, only the report of the best epoch itself tells whether it is inside of them.
    """
    value: float | None = result.get("best_value")
    if goals.limits and not (
        result.get("epoch") == result.get("best_epoch") and goals.feasible(result)
    ):
        return None
    return value
