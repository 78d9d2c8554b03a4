"""The fused engine: compiled loops over triples."""

from hbpr.training.fused.engine import FusedEngine, why_not_fused

__all__ = ["FusedEngine", "why_not_fused"]
