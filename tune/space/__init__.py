"""What can be searched: dimensions, conditions, constraints, points."""

from tune.space.space import MAX_TRIES, Space

__all__ = ["MAX_TRIES", "Space"]
