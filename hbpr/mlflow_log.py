"""The name by which logged models find their loader: `hbpr.tracking.pyfunc_model` has it."""

from hbpr.tracking.pyfunc_model import SystemModel
from hbpr.tracking.pyfunc_model import load_pyfunc as _load_pyfunc

__all__ = ["SystemModel", "_load_pyfunc"]
