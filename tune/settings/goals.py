"""What the trials of a study are compared by; the types are those of a study's record."""

from hbpr.tracking.goals import Goals, Limit, Objective

__all__ = ["Goals", "Limit", "Objective"]
