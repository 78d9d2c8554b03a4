"""The name by which logged models find their loader: `hbpr.tracking.registry` has it."""

from hbpr.tracking.registry import SystemModel, _load_pyfunc

__all__ = ["SystemModel", "_load_pyfunc"]
