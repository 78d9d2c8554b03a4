"""Training: samplers, losses, engines and the loop over epochs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hbpr.training.report import EpochReport
    from hbpr.training.trainer import Trainer

__all__ = ["EpochReport", "Trainer"]

#: Imported on first use: settings look at the table of losses, which needs no torch.
_HOMES: Final = {"EpochReport": "hbpr.training.report", "Trainer": "hbpr.training.trainer"}

if not TYPE_CHECKING:  # a type checker shall see no other names

    def __getattr__(name: str) -> Any:
        """Import a public name on its first use."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
