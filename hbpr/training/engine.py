"""What an engine is: the part of training that turns one epoch's triples into better weights."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hbpr.models import Recommender
from hbpr.settings.models import OptimizerSettings

#: Arrays by name: what a checkpoint holds of an engine.
State = dict[str, NDArray[Any]]


class Engine(ABC):
    """Trains a model one epoch at a time; two engines give the same results within noise."""

    name: ClassVar[str]
    model: Recommender

    @abstractmethod
    def train_epoch(self, lr: float) -> float:
        """Visit every training positive once, at one learning rate; return the mean loss."""

    @abstractmethod
    def state(self) -> State:
        """Optimizer state and random state, without the model's weights."""

    @abstractmethod
    def load_state(self, state: State) -> None:
        """Continue where `state` was taken: the same draws, the same steps."""


def learning_rate(settings: OptimizerSettings, epoch: int, n_epochs: int) -> float:
    """Learning rate of an epoch, counted from 1.

    Example:
        >>> settings = OptimizerSettings(lr=0.1, schedule="inverse_time", decay=1.0)
        >>> learning_rate(settings, 1, 10), learning_rate(settings, 2, 10)
        (0.1, 0.05)
    """
    done = epoch - 1
    match settings.schedule:
        case "inverse_time":
            return settings.lr / (1.0 + settings.decay * done)
        case "cosine":
            return float(settings.lr * 0.5 * (1.0 + np.cos(np.pi * done / n_epochs)))
        case "constant":
            return settings.lr
