"""The listwise engine: blocks of users against all items or a shared sample, as matrix products."""

from hbpr.training.listwise.engine import ListwiseEngine, memory_mib, why_not_listwise

__all__ = ["ListwiseEngine", "memory_mib", "why_not_listwise"]
