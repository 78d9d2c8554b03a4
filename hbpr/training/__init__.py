"""Training: samplers, losses, engines and the loop over epochs."""

from hbpr.training.report import EpochReport
from hbpr.training.trainer import Trainer

__all__ = ["EpochReport", "Trainer"]
